"""Yahoo Finance, through yfinance's session."""
