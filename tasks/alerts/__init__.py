"""Alerts: incidents, the outbox, delivery, the watchdog."""
