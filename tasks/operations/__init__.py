"""Operations: status, metrics, doctor."""
