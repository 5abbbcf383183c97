"""A made-up person drawn on the free head: a capture whose parameters are exactly known."""
