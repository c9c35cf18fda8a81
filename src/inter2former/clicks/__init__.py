"""Clicks: the simulated user, and the reference map that carries clicks to the network."""
