"""What an operator asks: status, metrics, doctor."""
