"""What runs a network's graph instead of torch."""
