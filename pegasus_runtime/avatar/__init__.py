"""An avatar, and its files."""
