"""A local, read-only page over the published warehouse."""
