"""The kinds of picture files, by their suffixes, and what each needs to be read."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from mfsynth.errors import install_command
from zoo.pictures.unread import OME, TIFF

if TYPE_CHECKING:
    from pathlib import Path

RAW = (
    ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".rw2", ".orf", ".pef", ".srw",
    ".3fr", ".crw", ".erf", ".gpr", ".iiq", ".kdc", ".mef", ".mos", ".mrw", ".nrw", ".rwl", ".sr2", ".srf",
    ".x3f",
)  # fmt: skip
"""Of what cameras' sensors recorded, which has to be developed."""

HEIF = (".heic", ".heif", ".hif")
"""Of pictures compressed as HEVC, as many phones take them."""

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".ppm", ".pgm", ".avif", *HEIF, *RAW,
)  # fmt: skip
"""Of pictures that can be frames."""

_PACKAGES = dict.fromkeys(HEIF, "pillow-heif") | dict.fromkeys(RAW, "rawpy")
"""The optional package that reads a kind."""

_UNKNOWN = {
    ".czi": ("a Zeiss CZI file", OME),
    ".exr": ("an OpenEXR picture", TIFF),
    ".gif": ("a GIF", TIFF),
    ".hdr": ("a Radiance HDR picture", TIFF),
    ".jp2": ("a JPEG 2000 picture", TIFF),
    ".jxl": ("a JPEG XL picture", TIFF),
    ".lif": ("a Leica LIF file", OME),
    ".nd2": ("a Nikon ND2 file", OME),
    ".oib": ("an Olympus OIB file", OME),
    ".oir": ("an Olympus OIR file", OME),
    ".pdf": ("a PDF", TIFF),
    ".psb": ("a Photoshop file", TIFF),
    ".psd": ("a Photoshop file", TIFF),
    ".svg": ("an SVG drawing", TIFF),
    ".tga": ("a TGA picture", TIFF),
    ".xcf": ("a GIMP file", TIFF),
}
"""Of other pictures, and what to do about them: too many programs know them to pass over them silently."""


def is_picture(path: Path) -> bool:
    """Whether a path is, by its name, a picture file that can be read here."""
    known = path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    return known and path.is_file() and unreadable(path) is None


def is_raw(path: Path) -> bool:
    """Whether a path is a RAW file by its name."""
    return path.suffix.lower() in RAW


def unreadable(path: Path) -> str | None:
    """Why a picture file cannot be read here, by its suffix, in words that follow "it".

    None for what can be read, and for files that are not pictures.

    >>> from pathlib import Path
    >>> unreadable(Path("a.psd"))
    'is a Photoshop file; export it as TIFF or PNG'
    """
    suffix = path.suffix.lower()
    if suffix in _UNKNOWN:
        kind, remedy = _UNKNOWN[suffix]
        return f"is {kind}; {remedy}"
    if suffix not in _PACKAGES or _is_installed(_PACKAGES[suffix]):
        return None
    return f"needs {_PACKAGES[suffix]}: {install_command('formats')}"


@cache
def _is_installed(package: str) -> bool:
    return find_spec(package.replace("-", "_")) is not None
