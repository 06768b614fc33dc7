"""What Prefect runs, one file per deployment, and the command line for people."""
