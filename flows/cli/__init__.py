"""The command line, `rotation`."""
