"""DuckLake as the published warehouse: tables in Parquet files, a catalog in a file or in PostgreSQL, one snapshot for each publish.

A run computes in the build database of its machine, as with a DuckDB file. Publishing is one transaction of the lake (`contents`), in which only
tables that changed are written. A machine whose build database is missing, or older than the lake, first takes over what the lake holds
(`takeover`). Readers open a copy of the catalog (`snapshot`): they hold no lock, no connection to the server and no password.
"""
