"""Remake the frontier: the zoo trained, exported and measured, seed by seed."""
