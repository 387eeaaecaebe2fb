"""Reproduces the frontier: trains, exports and measures the zoo, once per seed."""
