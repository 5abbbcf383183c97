"""From a video of a person to a capture that a training takes."""
