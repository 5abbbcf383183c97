"""What is trained, and from what it starts."""
