"""The version, in a module that imports nothing: every other one may import it."""

__version__ = "0.2.0"
