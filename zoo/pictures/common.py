"""PNG, JPEG, WebP, BMP, PNM, GIF and whatever else Pillow or OpenCV knows.

Pillow says what a file holds and decodes 8 bits and 16-bit gray; OpenCV decodes 16-bit color,
which Pillow cannot. Both turn a TIFF upright automatically, OpenCV with any flags; called as they are
here, they turn nothing else.
"""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from zoo.pictures.exif import exif_of
from zoo.pictures.picture import PictureFile, Refusal
from zoo.pictures.profiles import fitting

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL.ImageFile import ImageFile

    from zoo.pictures.picture import Pixels

_DEPTH_HINT = "convert it to 8 or 16 bits per channel first"
ALPHA_HINT = "flatten it onto a background first"

_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# For each orientation: whether to transpose, then the steps through rows and columns.
_UPRIGHT = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}


def read(path: Path) -> PictureFile:
    """Read a picture of any kind that Pillow or OpenCV knows.

    16 bits stay 16 bits in PNG, TIFF, PGM and PPM; 1 bit becomes 8-bit gray; palettes, CMYK and the like
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
            return PictureFile(_unknown_to_pillow(data))
        with image:
            check_single(image)
            check_opaque(image)
            exif, orientation = exif_of(image)
            pixels = _deep(image, data) if _is_deep(image, data) else _shallow(image)
            return PictureFile(
                turned(pixels, orientation), fitting(image.info.get("icc_profile"), pixels), exif
            )


def check_single(image: ImageFile) -> None:
    """Check that a file holds one picture.

    Raises:
        Refusal: If it holds several.
    """
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":  # a camera's JPEG with previews behind the picture
        raise Refusal(f"it holds {count} pictures", "save each as a file of its own")


def check_opaque(image: ImageFile) -> None:
    """Check that a picture has no alpha channel.

    Raises:
        Refusal: If it has one.
    """
    extra = isinstance(image, TiffImagePlugin.TiffImageFile) and TiffImagePlugin.EXTRASAMPLES in image.tag_v2
    if extra or image.has_transparency_data:
        raise Refusal("it has an alpha channel", ALPHA_HINT)


def _is_deep(image: ImageFile, data: bytes) -> bool:
    """Whether it has 16 bits that Pillow would cut to 8, or would read slowly, value by value (PGM, PPM)."""
    if image.format == "PPM":
        return image.mode == "I" or (image.mode == "RGB" and _ppm_maximum(image) > 255)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return image.mode == "RGB" and max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (8,))) > 8
    return image.format == "PNG" and image.mode == "RGB" and data[24] == 16


def _ppm_maximum(image: ImageFile) -> int:
    """The value of white."""
    arguments = image.tile[0].args
    if isinstance(arguments, tuple):
        return int(arguments[-1])
    return 65535 if image.mode == "I" else 255


def _shallow(image: ImageFile) -> Pixels:
    """The pixels, where Pillow decodes their full depth."""
    if image.mode in ("I", "F"):
        raise Refusal("it holds 32-bit integers" if image.mode == "I" else "it holds floats", _DEPTH_HINT)
    if image.mode.startswith("I;16"):
        _check_tiff(image)
        return np.asarray(image).astype(np.uint16)
    gray = image.mode in ("1", "L")
    return np.array(image.convert("L" if gray else "RGB"), dtype=np.uint8)


def _deep(image: ImageFile, data: bytes) -> Pixels:
    """The pixels, where only OpenCV decodes their full depth."""
    _check_tiff(image)
    pixels = _opencv(data)
    if pixels is None:
        raise Refusal("it is broken or cut short")
    if image.format == "PPM" and (maximum := _ppm_maximum(image)) < 65535:
        return np.asarray(np.rint(pixels * (65535 / maximum)), np.uint16)
    return pixels


def _check_tiff(image: ImageFile) -> None:
    """Refuse what both decoders silently get wrong."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if (bits := max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))) != 16:
        raise Refusal(f"it holds {bits}-bit values", _DEPTH_HINT)
    if image.mode == "RGB" and image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2:
        raise Refusal("it keeps its 16-bit colors in separate planes", "save it with interleaved channels")
    if image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        raise Refusal("its 16-bit gray levels are inverted", "save it with black as zero")


def _unknown_to_pillow(data: bytes) -> Pixels:
    pixels = _opencv(data)
    if pixels is None:
        raise Refusal("it is not a picture, is cut short, or is of an unknown kind")
    if data.startswith(_TIFF):  # OpenCV knows neither inverted nor planar ones
        raise Refusal("it is a TIFF of an unusual kind")
    return pixels


def _opencv(data: bytes) -> Pixels | None:
    """The pixels as OpenCV decodes them, at the stored depth; None if it cannot. It logs nothing."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise Refusal(f"OpenCV does not decode it ({error.err})") from error
    finally:
        cv2.utils.logging.setLogLevel(before)
    if pixels is None:
        return None
    _check_pixels(pixels)
    return cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 else pixels)


def _check_pixels(pixels: NDArray[Any]) -> None:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise Refusal(f"it holds {pixels.dtype} values", _DEPTH_HINT)
    if pixels.shape[2:] not in ((), (3,)):
        raise Refusal("it has an alpha channel", ALPHA_HINT)


def turned(pixels: Pixels, orientation: int) -> Pixels:
    """Pixels turned upright from an orientation, 1 to 8, as EXIF counts it."""
    if orientation not in _UPRIGHT:
        return pixels
    transposed, rows, columns = _UPRIGHT[orientation]
    lying = pixels.swapaxes(0, 1) if transposed else pixels
    return cast("Pixels", np.ascontiguousarray(lying[::rows, ::columns]))
