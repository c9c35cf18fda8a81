"""Training with simulated clicks."""
