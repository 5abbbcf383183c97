"""The PEGASUS avatar editor."""

VERSION = "0.1.0"
