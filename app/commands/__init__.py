"""The command line, one module for each command.

A command module has ``add_parser(subparsers)``, which describes its arguments, and a function
that takes the parsed arguments and returns the exit status.
"""
