"""TIFF: any depth of gray and color, page by page.

tifffile finds the pages and decodes what it can; Pillow's libtiff decodes what is not plain gray or RGB, and
JPEG; OpenCV decodes compressed 16-bit color for which tifffile would need imagecodecs.
"""

from __future__ import annotations

import logging
import math
import struct
import warnings
import zlib
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import cv2
import numpy as np
from PIL import Image

from mfsynth.errors import install_command
from zoo.pictures.common import ALPHA_HINT, quiet_opencv, rgb, shallow
from zoo.pictures.directory import number, read_directory
from zoo.pictures.exif import exif_of_tiff
from zoo.pictures.metadata import upright_xmp
from zoo.pictures.pages import planes_of
from zoo.pictures.picture import PictureFile, Refusal, turned
from zoo.pictures.profiles import fitting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from tifffile import TiffFile, TiffPage

    from zoo.pictures.picture import Pixels

_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION, _XMP, _IPTC, _ICC = 274, 700, 33723, 34675
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_NONE, _JPEG = 1, (6, 7, 33007)
_DEFLATE = (8, 32946)
_OWN = (_NONE, *_DEFLATE, 32773)
"""The compressions that tifffile decodes by itself: none, deflate, PackBits."""
_ALPHAS = (1, 2)
_UINT, _INT, _FLOAT = 1, 2, 3
_DISTRUST = (
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
    struct.error,
)
"""What tifffile and imagecodecs raise where a file contradicts itself."""
_BROKEN = "it is broken or cut short"
_PIXELS = 1 << 30
"""The most pixels of a page, as in OpenCV."""
_DEPTH = "convert it to 8 or 16 bits per channel, or to 32-bit floats, first"
_CODECS = f"{install_command('formats')}, or save it without compression"


def is_tiff(head: bytes, _suffix: str = "") -> bool:
    """Whether a file that begins like this is a TIFF or BigTIFF, whatever its suffix."""
    return head.startswith(_BEGINNINGS)


def read_tiff(path: Path) -> PictureFile:
    """Read a TIFF of one picture; small copies and masks of it do not count.

    Raises:
        Refusal: If it holds several pictures, or values that cannot be a picture's.
        OSError: If it cannot be read, is cut short or broken; or any other of `BROKEN`.
    """
    with _opened(path) as tif:
        planes = planes_of(tif)
        if len(planes) != 1:
            raise Refusal(f"it holds {len(planes)} pictures", "save each as its own file")
        return _read(tif, planes[0], path)


def read_page(path: Path, page: int) -> PictureFile:
    """Read one page of a TIFF, counted from 0; see `read_tiff`. Only that page is read."""
    with _opened(path) as tif:
        return _read(tif, page, path)


def pages_in(path: Path) -> tuple[int, ...]:
    """The pages of a TIFF that are frames of a stack, in the stack's order; without decoding any.

    Raises:
        Refusal: If it holds channels, or more than one axis could be the stack's.
        OSError: If it cannot be read, is cut short or broken; or any other of `BROKEN`.
    """
    with _opened(path) as tif:
        return planes_of(tif)


def largest_page(path: Path) -> int:
    """The pixels of a TIFF's largest page, or of a tile of it if that is larger, as the file declares them.

    Raises:
        Refusal: If it is broken; or one of `BROKEN`.
    """
    with _opened(path) as tif:
        pages = (cast("TiffPage", tif.pages[number]) for number in range(len(tif.pages)))
        return max(
            page.imagedepth * max(page.imagewidth * page.imagelength, page.tilewidth * page.tilelength)
            for page in pages
        )


@contextmanager
def _opened(path: Path) -> Iterator[TiffFile]:
    """An open TIFF; other files that its OME-XML names are not looked for, and nothing is logged."""
    try:
        from tifffile import TiffFile
    except ImportError as error:
        raise Refusal("tifffile is not installed", install_command("fuse")) from error
    logger = logging.getLogger("tifffile")
    before, logger.disabled = logger.disabled, True
    try:
        with TiffFile(path, is_ome=False, is_ndpi=False, is_ndtiff=False) as tif:
            yield tif
    except _DISTRUST as error:
        raise Refusal(_BROKEN) from error
    finally:
        logger.disabled = before


def _read(tif: TiffFile, plane: int, path: Path) -> PictureFile:
    stored = plane < len(tif.pages)  # others lie behind the only page's pixels, without a directory
    page = cast("TiffPage", tif.pages[plane if stored else 0])
    file = cast("BinaryIO", tif.filehandle)
    directory = read_directory(file, tif.byteorder, page.offset, big=tif.is_bigtiff)
    orientation = number(directory[_ORIENTATION], tif.byteorder) if _ORIENTATION in directory else 1
    _check_channels(page)
    pixels = _pixels(page, path, orientation) if stored else _behind(page, plane)
    icc, xmp, iptc = (directory[tag].value if tag in directory else b"" for tag in (_ICC, _XMP, _IPTC))
    return PictureFile(
        pixels,
        fitting(icc, pixels),
        exif_of_tiff(file, directory, tif.byteorder, big=tif.is_bigtiff),
        upright_xmp(xmp),
        iptc or None,
    )


def _check_channels(page: TiffPage) -> None:
    if any(each in _ALPHAS for each in page.extrasamples):
        raise Refusal("it has an alpha channel", ALPHA_HINT)
    if page.extrasamples:
        raise _not_colors(page)
    if page.imagedepth > 1:
        raise Refusal("its pages are volumes", "save each slice as a page")
    if not 1 <= page.imagewidth * page.imagelength <= _PIXELS:
        raise Refusal(f"it is {page.imagewidth} x {page.imagelength}; 1 to {_PIXELS:,} pixels are read")


def _not_colors(page: TiffPage) -> Refusal:
    count = page.samplesperpixel
    return Refusal(f"it has {count} channels that are not colors", "save it as RGB, or one channel as gray")


# --- Pixels -----------------------------------------------------------------------------------------


def _pixels(page: TiffPage, path: Path, orientation: int) -> Pixels:
    """A page's pixels, upright: H x W x 3 or H x W; uint8, uint16, or float32."""
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        return _by_pillow(page, path)
    _check_depth(page)
    _check_samples(page)
    if page.bitspersample < 8 or (page.bitspersample == 8 and page.compression in _JPEG):
        return _by_pillow(page, path)
    if _is_decoded(page):
        return turned(_by_tifffile(page), orientation)
    gray = page.samplesperpixel == 1
    deep = page.dtype == np.uint16 and page.bitspersample == 16
    if page.bitspersample == 8 or (gray and deep):
        return _by_pillow(page, path)
    if deep and page.planarconfig == 1:
        return _by_opencv(page, path)
    raise Refusal(f"reading {_compression(page)} needs imagecodecs", _CODECS)


def _is_decoded(page: TiffPage) -> bool:
    """Whether tifffile decodes a page: most of its codecs are imagecodecs'."""
    from tifffile import TIFF

    if find_spec("imagecodecs") is not None:
        return page.compression in TIFF.DECOMPRESSORS and page.predictor in TIFF.UNPREDICTORS
    return page.compression in _OWN and page.predictor in (1, 2) and not _is_packed(page)


def _is_packed(page: TiffPage) -> bool:
    return page.bitspersample not in (8, 16, 32, 64)


def _compression(page: TiffPage) -> str:
    """What a page needs a codec for, in words."""
    if _is_packed(page):
        return f"packed values of {page.bitspersample} bits"
    if page.compression in _OWN:
        return f"a TIFF with predictor {int(page.predictor)}"
    return f"a TIFF with {getattr(page.compression, 'name', page.compression)} compression"


def _by_tifffile(page: TiffPage) -> Pixels:
    _check_whole(page)
    _check_inflated(page)
    try:
        pixels = page.asarray()
    except ValueError as error:
        raise Refusal(_BROKEN) from error
    if page.samplesperpixel > 1 and page.planarconfig == 2:
        pixels = np.moveaxis(pixels, 0, -1)
    return _values(pixels, page)


def _behind(page: TiffPage, plane: int) -> Pixels:
    """A plane that lies behind the only page's pixels, as ImageJ and MetaMorph store long stacks."""
    _check_depth(page)
    file = page.parent.filehandle
    file.seek(page.dataoffsets[0] + plane * page.nbytes)
    data = file.read(page.nbytes)
    if len(data) < page.nbytes:
        raise Refusal(_BROKEN)
    kind = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    return _values(np.frombuffer(data, kind).reshape(page.shape), page)


def _check_whole(page: TiffPage) -> None:
    """tifffile fills with zeros what a file lacks, however much that is."""
    starts, lengths = page.dataoffsets, page.databytecounts
    if page.compression == _NONE:  # its strips may be listed as one
        whole = sum(lengths) >= page.size * page.bitspersample // 8
    else:
        whole = len(starts) >= math.prod(page.chunked)
    ends = [start + length for start, length in zip(starts, lengths, strict=False)]
    if len(starts) != len(lengths) or not whole or max(ends) > page.parent.filehandle.size:
        raise Refusal(_BROKEN)


def _check_inflated(page: TiffPage) -> None:
    """Without imagecodecs, tifffile inflates a strip however large that is: a thousand times the file."""
    if page.compression not in _DEFLATE or find_spec("imagecodecs") is not None:
        return
    file, most = page.parent.filehandle, math.prod(page.chunks) * page.bitspersample // 8
    for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(start)
        if len(zlib.decompressobj().decompress(file.read(length), most + 1)) > most:
            raise Refusal("a strip of it holds more than its pixels")


def _check_samples(page: TiffPage) -> None:
    if page.samplesperpixel != (3 if page.photometric == _RGB else 1):
        raise _not_colors(page)


def _check_depth(page: TiffPage) -> None:
    if page.dtype is None or page.sampleformat not in (_UINT, _INT, _FLOAT):
        raise Refusal(f"its values are not numbers ({page.dtype})", _DEPTH)
    if page.sampleformat == _INT:
        raise Refusal(f"it holds signed {page.bitspersample}-bit integers", _DEPTH)
    if page.sampleformat == _UINT and page.bitspersample > 16:
        raise Refusal(f"it holds {page.bitspersample}-bit integers", _DEPTH)
    if page.sampleformat == _FLOAT and page.photometric == _WHITE_IS_ZERO:
        raise Refusal("its floats are inverted", "save it with black as zero")


def _values(stored: NDArray[Any], page: TiffPage) -> Pixels:
    """Stored values as pixels: black as zero, in this machine's byte order, floats as float32."""
    if page.sampleformat == _FLOAT:
        with np.errstate(over="ignore"):  # what float32 does not hold becomes infinite, and is refused
            return _finite(stored.astype(np.float32))
    pixels = stored.astype(np.uint8 if page.bitspersample <= 8 else np.uint16, copy=False)
    return cast("Pixels", _black_as_zero(np.ascontiguousarray(pixels), page))


def _black_as_zero(pixels: Any, page: TiffPage) -> Any:
    return (1 << page.bitspersample) - 1 - pixels if page.photometric == _WHITE_IS_ZERO else pixels


def _finite(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    if not np.isfinite(pixels).all():
        raise Refusal("it holds NaN or infinite values", "replace them with numbers first")
    return pixels


def _by_pillow(page: TiffPage, path: Path) -> Pixels:
    """A page that Pillow decodes at its full depth, and turns upright. It inverts no more than 8 bits."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # anything that matters also raises
        with Image.open(path) as image:
            image.seek(page.index)
            pixels = shallow(image)
            return cast("Pixels", _black_as_zero(pixels, page) if pixels.dtype == np.uint16 else pixels)


def _by_opencv(page: TiffPage, path: Path) -> Pixels:
    """A page of 16-bit color that OpenCV decodes, and turns upright."""
    with quiet_opencv():
        done, decoded = cv2.imreadmulti(str(path), page.index, 1, flags=cv2.IMREAD_UNCHANGED)
    pixels = rgb(decoded[0]) if done else None
    if pixels is None:
        raise Refusal(f"reading {_compression(page)} needs imagecodecs", _CODECS)
    return pixels
