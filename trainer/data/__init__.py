"""Reading captures from disk."""
