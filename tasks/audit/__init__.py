"""The audit: expectations, Great Expectations, quarantine, manual overrides."""
