"""A run: its context, its sequence, fetching, staging, the ledger."""
