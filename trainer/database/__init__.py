"""Attributes of other people put onto the source person: the database of a personal avatar."""
