"""RAW: what a camera's sensor recorded, developed by LibRaw through rawpy.

Nothing depends on what the picture shows: no automatic brightness, no white level from the brightest pixel.
So the frames of a stack stay comparable.
"""

from __future__ import annotations

import io
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from mfsynth.codecs import kind_of
from mfsynth.errors import install_command
from zoo.pictures.directory import read_directory
from zoo.pictures.exif import EXIF_PREFIX, exif_of_tiff, upright
from zoo.pictures.kinds import RAW, is_raw
from zoo.pictures.picture import BROKEN, PictureFile, Refusal
from zoo.pictures.profiles import LINEAR, SRGB_CURVE, SRGB_PRIMARIES, rgb_profile

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    import rawpy

    Balance = tuple[float, ...]
    """By which red, green, blue and the second green are multiplied; 0 means as green."""

_SRGB_GAMMA, _NO_GAMMA = (2.4, 12.92), (1.0, 1.0)  # exponent, and slope of the linear piece


@dataclass(frozen=True, slots=True)
class Development:
    """How RAW is developed; other pictures are not affected.

    Args:
        linear: Keep linear light, rather than apply sRGB's curve.
        balance: The white balance; None takes the one that the camera chose for the frame.
    """

    linear: bool = False
    balance: Balance | None = None


AS_SHOT = Development()


def knows(head: bytes, suffix: str) -> bool:
    """Whether a file is RAW, by its suffix: many begin as a TIFF does."""
    return suffix in RAW or kind_of(head) == "a raw picture (CR3)"


def read(path: Path, development: Development = AS_SHOT) -> PictureFile:
    """Develop a RAW file, upright, H x W x 3 uint16 in sRGB or, where asked, linear light of its primaries.

    White is where the sensor saturates in green at the latest. EXIF comes from the file's own directory or,
    where that is not a TIFF's, from the embedded preview; without maker notes. XMP is dropped, since it holds
    a developer's settings.

    Raises:
        Refusal: If LibRaw does not know it, it is broken, or rawpy is not installed.
        OSError: If it cannot be read.
    """
    library = _library()
    balance: dict[str, Any] = (
        {"user_wb": list(development.balance)} if development.balance else {"use_camera_wb": True}
    )
    try:
        with library.imread(str(path)) as raw:
            pixels = raw.postprocess(
                output_bps=16,
                output_color=library.ColorSpace.sRGB,
                gamma=_NO_GAMMA if development.linear else _SRGB_GAMMA,
                no_auto_bright=True,
                adjust_maximum_thr=0.0,
                **balance,
            )
            exif = _exif(path, raw)
    except (library.LibRawError, library.NotSupportedError) as error:
        raise Refusal(_reason(error)) from error
    name, curve = ("linear sRGB", LINEAR) if development.linear else ("sRGB", SRGB_CURVE)
    return PictureFile(pixels, rgb_profile(name, SRGB_PRIMARIES, curve), exif)


def development_of(first: Path, *, linear: bool = False) -> Development:
    """How a stack is developed: every frame with the white balance that the camera chose for the first."""
    return Development(linear, _balance(first) if is_raw(first) else None)


def _balance(path: Path) -> Balance | None:
    """The camera's white balance; None if the file does not say it or, as reading will tell, is broken."""
    try:
        library = _library()
    except Refusal:
        return None
    raw = library.RawPy()
    try:
        raw.open_file(str(path))
        balance = tuple(raw.camera_whitebalance)
    except library.LibRawError:
        return None
    finally:
        raw.close()
    return balance if min(balance[:3]) > 0 else None


def _library() -> ModuleType:
    try:
        import rawpy
    except ImportError as error:
        raise Refusal("rawpy is not installed", install_command("formats")) from error
    return rawpy


def _reason(error: Exception) -> str:
    words = error.args[0] if error.args else ""
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)


def _exif(path: Path, raw: rawpy.RawPy) -> bytes | None:
    """The EXIF of the file's own directory or, if that is not a TIFF's or is broken, of the preview."""
    with path.open("rb") as file, suppress(*BROKEN):
        head = file.read(8)
        if order := {b"II": "<", b"MM": ">"}.get(head[:2]):
            (first,) = struct.unpack(order + "I", head[4:])
            if exif := exif_of_tiff(file, read_directory(file, order, first), order, note=False):
                return exif
    return _preview_exif(raw)


def _preview_exif(raw: rawpy.RawPy) -> bytes | None:
    """The EXIF of the embedded preview, which LibRaw fills in if the camera did not."""
    library = _library()
    try:
        preview = raw.extract_thumb()
    except library.LibRawError:
        return None
    if preview.format != library.ThumbFormat.JPEG:
        return None
    with suppress(*BROKEN), Image.open(io.BytesIO(bytes(preview.data))) as image:
        return upright(image.info.get("exif", b"").removeprefix(EXIF_PREFIX))[0]
    return None
