"""How fast the network is and what it costs: the measuring behind `inter2former bench` and `bench/`."""
