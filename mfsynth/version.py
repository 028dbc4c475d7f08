"""The version, in a module that imports nothing: every other one may import it."""

__version__ = "0.2.0"

CONTENT_RELEASE = "0.2.0"
"""The oldest release that makes the same bytes as this one of the same options, data and other packages."""


def same_content(release: str) -> bool:
    """Whether a release makes the same bytes as this one of the same options, data and other packages."""
    return _numbers(CONTENT_RELEASE) <= _numbers(release) <= _numbers(__version__)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(word) for word in release.split(".") if word.isdecimal())
