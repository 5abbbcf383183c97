"""From a request to a picture: one render thread, and the texture it ends in."""
