"""Small documents of Yahoo's chart and quoteSummary services."""

from __future__ import annotations

from typing import Any

CHART: dict[str, Any] = {
    "chart": {
        "result": [
            {
                "meta": {
                    "symbol": "SPY",
                    "currency": "USD",
                    "exchangeTimezoneName": "America/New_York",
                    "dataGranularity": "1d",
                    "regularMarketTime": 1767992401,
                    "currentTradingPeriod": {"regular": {"start": 1767969000, "end": 1767992400}},
                },
                "timestamp": [1767882600, 1767969000],
                "events": {
                    "dividends": {"1767969000": {"amount": 1.25, "date": 1767969000}},
                    "splits": {"1767969000": {"date": 1767969000, "numerator": 2, "denominator": 1}},
                },
                "indicators": {
                    "quote": [{n: [1.5, 2.5] for n in ("open", "high", "low", "close", "volume")}],
                    "adjclose": [{"adjclose": [1.5, 2.5]}],
                },
            }
        ],
        "error": None,
    }
}
SUMMARY: dict[str, Any] = {
    "quoteSummary": {
        "result": [
            {
                "quoteType": {"symbol": "SPY", "quoteType": "ETF"},
                "price": {"currency": "USD", "regularMarketTime": 1767992401},
                "summaryDetail": {"currency": "USD", "navPrice": 100.5, "totalAssets": 1e9, "netExpenseRatio": 0.2},
                "defaultKeyStatistics": {"category": "Large Blend", "totalAssets": {"raw": 1e9, "fmt": "1B"}},
                "topHoldings": {"equityHoldings": {"priceToEarnings": 0.034}},
                "earningsTrend": {
                    "trend": [{"period": "0y", "growth": {"raw": 0.1}}, {"period": "+1y", "growth": 0.2}]
                },
            }
        ],
        "error": None,
    }
}
