"""The version of the toolkit, for all four packages."""

__version__ = "0.1.0"
"""Of this release, for all four packages."""
