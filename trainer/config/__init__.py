"""Training configuration: dataclasses, YAML and the command line."""
