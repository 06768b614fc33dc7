"""A simulated market, its funds and companies, and simulated vendor faults."""
