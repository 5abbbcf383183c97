"""Model 2: surfels bound to the head's triangles, and attributes as differences between them."""
