"""Clicks: how they enter the reference map, where a simulated user clicks, and how masks keep to them."""
