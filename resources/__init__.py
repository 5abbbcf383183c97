"""Data shipped with the program; where each file comes from is told in ``README.md`` beside this.

A package with a file of its own, not a namespace: a namespace package is found once for the
checkout and once for the installation, and then its files cannot be opened by path.
"""
