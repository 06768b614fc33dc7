"""`python -m market_rotation` is the same as `rotation`."""

from market_rotation.flows.cli.main import main

main(prog_name="rotation")
