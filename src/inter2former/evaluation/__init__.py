"""How good the masks are, and after how many clicks."""
