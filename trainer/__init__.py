"""Training: captures in, avatars out. Imports pegasus_runtime only."""
