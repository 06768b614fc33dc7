"""Campaigns that try to break the promises: longer than a test may take, random with a printed seed, and recorded in docs/reliability.md."""
