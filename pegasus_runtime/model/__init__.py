"""The networks of an avatar and its latent code, in plain torch."""
