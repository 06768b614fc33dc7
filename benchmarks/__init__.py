"""What the performance claims rest on."""
