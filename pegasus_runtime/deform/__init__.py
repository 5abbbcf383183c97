"""Posed points and normals of an avatar."""
