"""The exhibits of the report: a query and what is said of it."""
