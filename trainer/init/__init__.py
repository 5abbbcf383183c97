"""From a capture to an avatar worth training."""
