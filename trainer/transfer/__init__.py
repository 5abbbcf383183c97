"""Attributes of one avatar put onto another person's, without training."""
