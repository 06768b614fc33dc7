"""What Prefect runs, one file per deployment, and the command line for people."""

import os

# No usage data, also where this process starts a Prefect server of its own; a setting of the user's is kept.
os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
