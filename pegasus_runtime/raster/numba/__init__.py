"""The CPU engine's compiled loops."""
