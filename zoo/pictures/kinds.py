"""The kinds of picture files, by their suffixes."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm")
"""Of pictures that can be frames."""


def is_picture(path: Path) -> bool:
    """Whether a path is a picture file by its name."""
    return path.is_file() and path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
