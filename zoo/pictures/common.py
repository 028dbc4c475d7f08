"""PNG, JPEG, WebP, BMP, PNM, GIF and whatever else Pillow or OpenCV knows, but TIFF.

Pillow says what a file holds and decodes 8 bits and 16-bit gray; OpenCV decodes 16-bit color,
which Pillow cannot. Called as they are here, they turn nothing upright by themselves except TIFFs.
"""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from mfsynth.codecs import kind_of
from zoo.pictures.exif import exif_of
from zoo.pictures.metadata import iptc_of, xmp_of
from zoo.pictures.picture import PictureFile, Refusal, turned
from zoo.pictures.profiles import fitting
from zoo.pictures.unread import PILLOWS, unread

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

    from zoo.pictures.picture import Pixels

ALPHA_HINT = "flatten it onto a background first"
"""What to do about an alpha channel."""
_DEPTH = "convert it to 8 or 16 bits per channel first"


def read(path: Path) -> PictureFile:
    """Read a picture of any kind that Pillow or OpenCV knows.

    16 bits stay 16 bits in PNG, PGM and PPM; 1 bit becomes 8-bit gray; palettes, CMYK and the like
    become 8-bit RGB by Pillow's rules. An ICC profile of another color model than the pixels' (such as
    CMYK) is dropped, and so is EXIF whose first directory is broken. Thumbnails are dropped.

    Raises:
        Refusal: If it is not a picture, holds several, or has an alpha channel.
        OSError: If it cannot be read, is cut short or broken; or any other of `BROKEN`.
    """
    return _read(path.read_bytes())


def _read(data: bytes) -> PictureFile:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # anything that matters also raises
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError:
            pixels = None if kind_of(data) in PILLOWS else _by_opencv(data)
            if pixels is None:
                raise unread(data) from None
            return PictureFile(pixels)
        with image:
            check_single(image)
            check_opaque(image)
            exif, orientation = exif_of(image)
            pixels = _deep(image, data) if _is_deep(image, data) else shallow(image)
            icc = fitting(image.info.get("icc_profile"), pixels)
            return PictureFile(turned(pixels, orientation), icc, exif, xmp_of(image), iptc_of(image))


def check_single(image: ImageFile) -> None:
    """Check that a file holds one picture.

    Raises:
        Refusal: If it holds several.
    """
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":  # a camera's JPEG with previews behind the picture
        raise Refusal(f"it holds {count} pictures", "save each as its own file")


def check_opaque(image: ImageFile) -> None:
    """Check that a picture has no alpha channel.

    Raises:
        Refusal: If it has one.
    """
    if image.has_transparency_data:
        raise Refusal("it has an alpha channel", ALPHA_HINT)


def _is_deep(image: ImageFile, data: bytes) -> bool:
    """Whether it has 16 bits that Pillow would cut to 8, or would read slowly, value by value (PGM, PPM)."""
    if image.format == "PPM":
        return image.mode == "I" or (image.mode == "RGB" and _ppm_maximum(image) > 255)
    return image.format == "PNG" and image.mode == "RGB" and data[24] == 16


def _ppm_maximum(image: ImageFile) -> int:
    """The value of white."""
    arguments = image.tile[0].args
    if isinstance(arguments, tuple):
        return int(arguments[-1])
    return 65535 if image.mode == "I" else 255


def shallow(image: ImageFile) -> Pixels:
    """The pixels of a picture whose full depth Pillow decodes: uint8 or, if gray, uint16.

    Raises:
        Refusal: If it holds 32-bit values.
    """
    if image.mode in ("I", "F"):
        raise Refusal("it holds 32-bit integers" if image.mode == "I" else "it holds floats", _DEPTH)
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    gray = image.mode in ("1", "L")
    return np.array(image.convert("L" if gray else "RGB"), dtype=np.uint8)


def _deep(image: ImageFile, data: bytes) -> Pixels:
    """The pixels, where only OpenCV decodes their full depth."""
    pixels = _by_opencv(data)
    if pixels is None:
        raise Refusal("it is broken or cut short")
    if image.format == "PPM" and (maximum := _ppm_maximum(image)) < 65535:
        return np.asarray(np.rint(pixels * (65535 / maximum)), np.uint16)
    return pixels


def _by_opencv(data: bytes) -> Pixels | None:
    with quiet_opencv():
        return rgb(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


@contextmanager
def quiet_opencv() -> Iterator[None]:
    """OpenCV logs nothing, and what it does not decode is refused."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    except cv2.error as error:
        raise Refusal(f"OpenCV does not decode it ({error.err})") from error
    finally:
        cv2.utils.logging.setLogLevel(before)


def rgb(decoded: NDArray[Any] | None) -> Pixels | None:
    """What OpenCV decoded, as pixels; None if it could not.

    Raises:
        Refusal: If it has alpha, or is neither of 8 nor 16 bits.
    """
    if decoded is None:
        return None
    if decoded.dtype not in (np.uint8, np.uint16):
        raise Refusal(f"it holds {decoded.dtype} values", _DEPTH)
    if decoded.shape[2:] not in ((), (3,)):
        raise Refusal("it has an alpha channel", ALPHA_HINT)
    return cast("Pixels", cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB) if decoded.ndim == 3 else decoded)
