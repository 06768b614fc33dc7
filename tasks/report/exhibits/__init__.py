"""The exhibits of the report: a query, its chart or table, and its text."""
