"""The version, in a module that imports nothing: every other one may import it."""

__version__ = "0.2.0"

CONTENT_RELEASE = "0.1.0"
"""The oldest release that makes the same bytes as this one of the same options, data and other packages."""
