"""The checks of `rotation doctor`."""
