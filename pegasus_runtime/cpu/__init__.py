"""Compiled loops for a processor (numba). Each file names the function that it equals."""
