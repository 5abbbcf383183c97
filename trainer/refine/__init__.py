"""What is mended of an avatar at a training's end."""
