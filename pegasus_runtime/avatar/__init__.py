"""Networks, latent code, attributes and files of an avatar."""
