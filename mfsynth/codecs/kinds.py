"""What kind of file some bytes are, by what they begin with, whatever the file's name says."""

from __future__ import annotations

from mfsynth.codecs.jpeg import is_jpeg

JPEG, PNG, WEBP, BMP, TIFF = "a JPEG", "a PNG", "a WebP", "a BMP", "a TIFF"
PICTURES = (JPEG, PNG, WEBP, BMP)
"""The kinds of picture that are read. No TIFF: OpenCV swallows its errors and turns it; `tiff` reads gray."""

EMPTY, ZEROS, UNKNOWN = "empty", "nothing but zeros", "of an unknown kind"
NOTHING = (EMPTY, ZEROS, UNKNOWN)
"""What says only that a file is not what it should be."""
TEXT = "a text file"

_HEIC, _AVIF, _JXL, _JP2 = "a HEIC picture", "an AVIF picture", "a JPEG XL picture", "a JPEG 2000 picture"
_GZIP, _BZIP2, _XZ, _ZSTD = "a gzip file", "a bzip2 file", "an xz file", "a Zstandard file"
_SVG, _HTML, _LFS, _ZIP = "an SVG drawing", "an HTML page", "a Git LFS pointer", "a zip archive"

_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": PNG,
    b"II*\0": TIFF,
    b"MM\0*": TIFF,
    b"II+\0": "a BigTIFF",
    b"MM\0+": "a BigTIFF",
    b"GIF8": "a GIF",
    b"\xff\x0a": _JXL,
    b"\0\0\0\x0cJXL \r\n\x87\n": _JXL,
    b"\0\0\0\x0cjP  \r\n\x87\n": _JP2,
    b"\xff\x4f\xff\x51": _JP2,
    b"8BPS": "a Photoshop file",
    b"\x76\x2f\x31\x01": "an OpenEXR picture",
    b"\0\0\1\0": "an icon",
    b"%PDF-": "a PDF",
    b"PK\3\4": _ZIP,
    b"PK\5\6": _ZIP,
    b"\x1f\x8b": _GZIP,
    b"BZh": _BZIP2,
    b"\xfd7zXZ": _XZ,
    b"\x28\xb5\x2f\xfd": _ZSTD,
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"\x93NUMPY": "a NumPy array",
    b"version https://git-lfs": _LFS,
}
_BRANDS = {b"avif": _AVIF, b"avis": _AVIF, b"jxl ": _JXL, b"crx ": "a raw picture (CR3)"}
_BRANDS |= dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"), _HEIC)
_WORDS = {
    b"<svg": _SVG,
    b"<!doctype html": _HTML,
    b"<html": _HTML,
    b"<head": _HTML,
    b"<?xml": "an XML document",
}

_REMEDIES = {
    _LFS: "fetch the file itself with: git lfs pull",
    _HTML: "download the file again: a server sent a page instead",
    _ZIP: "extract it",
    _GZIP: "unpack it: gunzip",
    _BZIP2: "unpack it: bunzip2",
    _XZ: "unpack it: unxz",
    _ZSTD: "unpack it: unzstd",
}
_REMEDY = "convert it to JPEG or PNG"


def kind_of(data: bytes) -> str:
    """What a file is, in words that follow "it is", such as "a JPEG", "a HEIC picture" or "empty".

    >>> kind_of(b"GIF89a"), kind_of(b"")
    ('a GIF', 'empty')
    """
    if is_jpeg(data):
        return JPEG
    found = next((kind for beginning, kind in _BEGINNINGS.items() if data.startswith(beginning)), "")
    if found:
        return found
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return WEBP
    if data[:2] == b"BM" and data[14:18] in (b"\x0c\0\0\0", b"\x28\0\0\0", b"\x6c\0\0\0", b"\x7c\0\0\0"):
        return BMP
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "a video")
    return _text_kind(data) if data.strip(b"\0") else (ZEROS if data else EMPTY)


def _text_kind(data: bytes) -> str:
    """What a file that begins with nothing known is, as text."""
    text = data[:1024].removeprefix(b"\xef\xbb\xbf").lower()
    found = next((kind for word, kind in _WORDS.items() if word in text), "")
    if found and text.lstrip().startswith(b"<"):
        return found
    try:
        return TEXT if data[:1024].decode("ascii").isprintable() else UNKNOWN
    except UnicodeDecodeError:
        return UNKNOWN


def remedy(kind: str, otherwise: str = _REMEDY) -> str:
    """What to do about a file of another kind than it should be, such as a picture.

    >>> remedy("a HEIC picture")
    'convert it to JPEG or PNG'
    """
    return _REMEDIES.get(kind, otherwise)
