"""Users' picture files: read upright at their full depth, written with color profile and EXIF.

Pillow says what a file holds and decodes 8 bits and 16-bit gray; OpenCV decodes and encodes 16-bit color,
which Pillow cannot. Both turn a TIFF upright automatically, OpenCV with any flags; called as they are
here, they turn nothing else.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from mfsynth import storage
from mfsynth.codecs import exif_directory, png_chunk
from zoo.errors import PictureError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import DTypeLike, NDArray
    from PIL.ImageFile import ImageFile

    Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_EXPORT_HINT = "export it again as PNG, TIFF or JPEG"
_DEPTH_HINT = "convert it to 8 or 16 bits per channel first"
_ALPHA_HINT = "flatten it onto a background first"
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)

_PNG_HEADER = 33  # bytes: signature and IHDR
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION = 0x0112
_EXIF_DIRECTORY, _GPS_DIRECTORY, _INTEROPERABILITY = 0x8769, 0x8825, 0xA005
# Description, make, model, orientation, resolution, software, date, artist, copyright.
_EXIF_TAGS = (270, 271, 272, _ORIENTATION, 282, 283, 296, 305, 306, 315, 33432)

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


@dataclass(frozen=True, slots=True, eq=False)
class PictureFile:
    """A picture and its metadata.

    Args:
        pixels: H x W x 3 (RGB) or H x W (gray), uint8 or uint16, upright.
        icc: The ICC profile of these pixels.
        exif: EXIF as a TIFF structure, without the prefix "Exif"; its orientation, if any, is 1 (upright).
    """

    pixels: Pixels
    icc: bytes | None = None
    exif: bytes | None = None


class _Refusal(Exception):  # noqa: N818 - carries the reason to the error that names the file
    def __init__(self, reason: str, hint: str = _EXPORT_HINT) -> None:
        super().__init__(reason)
        self.hint = hint


# --- Reading ----------------------------------------------------------------------------------------


def read_picture(path: Path) -> PictureFile:
    """Read a picture of any kind that Pillow or OpenCV knows, turned upright by its orientation tag.

    16 bits stay 16 bits in PNG, TIFF, PGM and PPM; 1 bit becomes 8-bit gray; palettes, CMYK and the like
    become 8-bit RGB by Pillow's rules. An ICC profile of another color model than the pixels' (such as
    CMYK) is dropped, and so is EXIF whose first directory is broken. A TIFF's EXIF is what its directories
    say about the picture. Thumbnails are dropped.

    Raises:
        PictureError: If the file is missing, empty, cut short or not a picture, holds more than one picture,
            has an alpha channel, or holds floats or integers of other than 8 or 16 bits.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PictureError(f"cannot read {path}: {error.strerror or error}", "check the path") from error
    try:
        return _read(data)
    except _Refusal as refusal:
        raise PictureError(f"cannot read {path}: {refusal}", refusal.hint) from refusal.__cause__
    except _BROKEN as error:
        raise PictureError(f"cannot read {path}: {error}", _EXPORT_HINT) from error


def _read(data: bytes) -> PictureFile:
    if not data:
        raise _Refusal("it is empty")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # anything that matters also raises
        try:
            image = Image.open(io.BytesIO(data))
        except UnidentifiedImageError:
            return PictureFile(_unknown_to_pillow(data))
        with image:
            _check_single(image)
            _check_opaque(image)
            exif, orientation = _exif(image)
            pixels = _deep(image, data) if _is_deep(image, data) else _shallow(image)
            return PictureFile(_turned(pixels, orientation), _profile(image, pixels), exif)


def _check_single(image: ImageFile) -> None:
    count = getattr(image, "n_frames", 1)
    if count > 1 and image.format != "MPO":  # a camera's JPEG with previews behind the picture
        raise _Refusal(f"it holds {count} pictures", "save each as a file of its own")


def _check_opaque(image: ImageFile) -> None:
    extra = isinstance(image, TiffImagePlugin.TiffImageFile) and TiffImagePlugin.EXTRASAMPLES in image.tag_v2
    if extra or image.has_transparency_data:
        raise _Refusal("it has an alpha channel", _ALPHA_HINT)


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
        raise _Refusal("it holds 32-bit integers" if image.mode == "I" else "it holds floats", _DEPTH_HINT)
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
        raise _Refusal("it is broken or cut short")
    if image.format == "PPM" and (maximum := _ppm_maximum(image)) < 65535:
        return np.asarray(np.rint(pixels * (65535 / maximum)), np.uint16)
    return pixels


def _check_tiff(image: ImageFile) -> None:
    """Refuse what both decoders silently get wrong."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if (bits := max(image.tag_v2.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))) != 16:
        raise _Refusal(f"it holds {bits}-bit values", _DEPTH_HINT)
    if image.mode == "RGB" and image.tag_v2.get(TiffImagePlugin.PLANAR_CONFIGURATION) == 2:
        raise _Refusal("it keeps its 16-bit colors in separate planes", "save it with interleaved channels")
    if image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
        raise _Refusal("its 16-bit gray levels are inverted", "save it with black as zero")


def _unknown_to_pillow(data: bytes) -> Pixels:
    pixels = _opencv(data)
    if pixels is None:
        raise _Refusal("it is not a picture, is cut short, or is of an unknown kind")
    if data.startswith(_TIFF):  # OpenCV knows neither inverted nor planar ones
        raise _Refusal("it is a TIFF of an unusual kind")
    return pixels


def _opencv(data: bytes) -> Pixels | None:
    """The pixels as OpenCV decodes them, at the stored depth; None if it cannot. It logs nothing."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _Refusal(f"OpenCV does not decode it ({error.err})") from error
    finally:
        cv2.utils.logging.setLogLevel(before)
    if pixels is None:
        return None
    _check_pixels(pixels)
    return cast("Pixels", cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.ndim == 3 else pixels)


def _check_pixels(pixels: NDArray[Any]) -> None:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise _Refusal(f"it holds {pixels.dtype} values", _DEPTH_HINT)
    if pixels.shape[2:] not in ((), (3,)):
        raise _Refusal("it has an alpha channel", _ALPHA_HINT)


def _turned(pixels: Pixels, orientation: int) -> Pixels:
    if orientation not in _UPRIGHT:
        return pixels
    transposed, rows, columns = _UPRIGHT[orientation]
    lying = pixels.swapaxes(0, 1) if transposed else pixels
    return cast("Pixels", np.ascontiguousarray(lying[::rows, ::columns]))


def _profile(image: ImageFile, pixels: Pixels) -> bytes | None:
    icc = image.info.get("icc_profile") or b""
    return icc if icc[16:20] == (b"GRAY" if pixels.ndim == 2 else b"RGB ") else None


def _exif(image: ImageFile) -> tuple[bytes | None, int]:
    """EXIF with the orientation 1 (upright), and the orientation that the pixels still have."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        tags = _described(image.getexif())
        return (_serialized(tags) if tags else None), 1
    if not image.info.get("exif"):
        tags = image.getexif()  # from XMP, ImageMagick's text, or a PNG chunk after the pixels
        if not image.info.get("exif"):
            return _upright(_serialized(tags)) if tags else (None, 1)
    return _upright(image.info["exif"].removeprefix(_EXIF_PREFIX))


def _upright(exif: bytes) -> tuple[bytes | None, int]:
    """EXIF with the orientation 1 and no thumbnail, and the orientation it had; None if it is broken."""
    directory = exif_directory(exif)
    if directory is None or directory.end > len(exif):
        return None, 1
    changed, orientation = bytearray(exif), 1
    for at in directory.orientations:
        (orientation,) = struct.unpack_from(directory.order + "H", exif, at)
        struct.pack_into(directory.order + "H", changed, at, 1)
    if directory.end + 4 <= len(exif):  # some writers omit the offset that says that no thumbnail follows
        struct.pack_into(directory.order + "I", changed, directory.end, 0)
    return bytes(changed), orientation


def _described(exif: Image.Exif) -> Image.Exif:
    """What EXIF says about the picture rather than its file, little-endian, upright."""
    kept = Image.Exif()
    kept.endian = "<"
    for tag in _EXIF_TAGS:
        if tag in exif:
            kept[tag] = 1 if tag == _ORIENTATION else exif[tag]
    for directory in (_EXIF_DIRECTORY, _GPS_DIRECTORY):
        tags = {tag: value for tag, value in exif.get_ifd(directory).items() if tag != _INTEROPERABILITY}
        if tags:
            kept[directory] = tags
    return kept


def _serialized(exif: Image.Exif) -> bytes:
    return exif.tobytes().removeprefix(_EXIF_PREFIX)


# --- Writing ----------------------------------------------------------------------------------------


def write_picture(path: Path, picture: PictureFile, quality: int = 95) -> None:
    """Write a picture with its profile and EXIF, whole or not at all, in the format of the path's suffix.

    Args:
        path: .png, .tif and .tiff hold 8 or 16 bits; .jpg and .jpeg (4:4:4) and .webp (lossless) hold 8.
            WebP has no gray, which becomes RGB with equal channels. A TIFF's EXIF omits what belongs to the
            file it came from.
        picture: What to write.
        quality: Of JPEG, 1 to 100.

    Raises:
        PictureError: If the suffix is not one of these, or the format cannot hold the depth, size or EXIF.
        OutputError: If the file cannot be written.
    """
    check_output(path, picture.pixels.dtype)
    longest, encode = _FORMATS[path.suffix.lower()].longest, _FORMATS[path.suffix.lower()].encode
    if max(picture.pixels.shape) > longest:
        kind = f"{path.suffix} holds at most {longest} pixels per side"
        raise PictureError(f"cannot write {path}: {kind}", "write .png or .tif")
    try:
        data = encode(picture, quality)
    except (*_BROKEN, cv2.error) as error:
        raise PictureError(f"cannot write {path}: {error}", "write another format") from error
    storage.write(path, data)


def check_output(path: Path, dtype: DTypeLike) -> None:
    """Check before the work that `write_picture` knows an output's suffix and can hold its depth.

    Raises:
        PictureError: If not.
    """
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(_FORMATS)
        raise PictureError(f"cannot write {path}: the suffix {path.suffix!r} is unknown", f"use {known}")
    if np.dtype(dtype) not in kind.dtypes:
        depth = f"{path.suffix} does not hold {np.dtype(dtype)}"
        raise PictureError(f"cannot write {path}: {depth}", "write .png or .tif, or convert to 8 bits first")


def _png(picture: PictureFile, _quality: int) -> bytes:
    """OpenCV's PNG with the chunks inserted; its own option refuses profiles that other programs embed."""
    data = _opencv_encoded(".png", picture.pixels)
    chunks: tuple[bytes, ...] = ()
    if picture.icc:
        chunks += png_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(picture.icc))
    if picture.exif:
        chunks += png_chunk(b"eXIf", picture.exif)
    return b"".join((data[:_PNG_HEADER], *chunks, data[_PNG_HEADER:]))


def _tiff(picture: PictureFile, _quality: int) -> bytes:
    """OpenCV's strips after Pillow's directory: OpenCV writes no metadata, Pillow no 16-bit color."""
    data = _opencv_encoded(".tif", picture.pixels)
    with Image.open(io.BytesIO(data)) as image:
        layout = dict(cast("TiffImagePlugin.TiffImageFile", image).tag_v2)
    exif = Image.Exif()
    exif.load(picture.exif or b"")
    directory = _described(exif)
    for tag, value in layout.items():
        directory[tag] = value
    if picture.icc:
        directory[TiffImagePlugin.ICCPROFILE] = picture.icc
    starts, sizes = layout[TiffImagePlugin.STRIPOFFSETS], layout[TiffImagePlugin.STRIPBYTECOUNTS]
    # Relative to the first strip; Pillow adds the offset of the directory's end.
    directory[TiffImagePlugin.STRIPOFFSETS] = tuple(accumulate(sizes[:-1], initial=0))
    strips = (data[start : start + size] for start, size in zip(starts, sizes, strict=True))
    return _serialized(directory) + b"".join(strips)


def _opencv_encoded(suffix: str, pixels: Pixels) -> bytes:
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, data = cv2.imencode(suffix, bgr)
    if not done:
        raise ValueError("OpenCV does not encode it")
    return data.tobytes()


def _jpeg(picture: PictureFile, quality: int) -> bytes:
    return _pillow_encoded(picture, "JPEG", quality=quality, subsampling=0)


def _webp(picture: PictureFile, _quality: int) -> bytes:
    # The lowest effort: a tenth of the time for less than a tenth more bytes.
    return _pillow_encoded(picture, "WEBP", lossless=True, method=0, quality=0)


def _pillow_encoded(picture: PictureFile, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    exif = _EXIF_PREFIX + picture.exif if picture.exif else b""
    Image.fromarray(picture.pixels).save(file, kind, exif=exif, icc_profile=picture.icc, **options)
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class _Format:
    encode: Callable[[PictureFile, int], bytes]
    dtypes: tuple[DTypeLike, ...]
    longest: int = 2**31 - 1


_FORMATS = {
    ".png": _Format(_png, (np.uint8, np.uint16)),
    ".tif": _Format(_tiff, (np.uint8, np.uint16)),
    ".tiff": _Format(_tiff, (np.uint8, np.uint16)),
    ".jpg": _Format(_jpeg, (np.uint8,), 65500),
    ".jpeg": _Format(_jpeg, (np.uint8,), 65500),
    ".webp": _Format(_webp, (np.uint8,), 16383),
}
