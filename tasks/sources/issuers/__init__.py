"""The files that fund issuers publish."""
