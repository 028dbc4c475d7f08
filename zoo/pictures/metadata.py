"""XMP and IPTC, as the formats carry them."""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from mfsynth.codecs import neutral_xmp

if TYPE_CHECKING:
    from PIL import Image

JPEG_XMP = 65533 - len(b"http://ns.adobe.com/xap/1.0/\0")
"""The longest XMP packet that a JPEG holds, in bytes."""
_IPTC_RESOURCE = 0x0404
_RESOURCE = struct.Struct(">4sHxxI")
_TEXT = "Raw profile type iptc"


def xmp_of(image: Image.Image) -> bytes | None:
    """The XMP packet that Pillow found, upright; None if there is none, or if it is not in UTF-8."""
    return upright_xmp(image.info.get("xmp") or b"")


def upright_xmp(xmp: bytes) -> bytes | None:
    """A packet whose orientation, if any, is 1, since the pixels are upright; None if it is not UTF-8."""
    packet = xmp.rstrip(b"\0")
    return neutral_xmp(packet) if packet and b"\0" not in packet else None


def iptc_of(image: Image.Image) -> bytes | None:
    """IPTC's records from a JPEG's Photoshop resources, or from the text where PNGs have them."""
    found = (image.info.get("photoshop") or {}).get(_IPTC_RESOURCE)
    if found:
        return bytes(found)
    text = image.info.get(_TEXT)
    return _from_text(text) if isinstance(text, str) else None


def _from_text(text: str) -> bytes | None:
    """What ImageMagick's and ExifTool's text "iptc", a length, and hexadecimal digits stand for."""
    match = re.fullmatch(r"\s*\w+\s+(\d+)\s+([0-9a-fA-F\s]*)", text)
    if match is None:
        return None
    try:
        data = bytes.fromhex(match[2])
    except ValueError:
        return None
    if not data.startswith(b"8BIM"):
        return data or None
    _, code, size = _RESOURCE.unpack_from(data.ljust(_RESOURCE.size, b"\0"))
    records = data[_RESOURCE.size : _RESOURCE.size + size]
    return records if code == _IPTC_RESOURCE and records else None


def resource(iptc: bytes) -> bytes:
    """IPTC's records as a Photoshop resource without a name."""
    return _RESOURCE.pack(b"8BIM", _IPTC_RESOURCE, len(iptc)) + iptc + bytes(len(iptc) % 2)


def jpeg_iptc(iptc: bytes) -> bytes:
    """IPTC's records as a JPEG's marker segment; empty if they do not fit."""
    body = b"Photoshop 3.0\0" + resource(iptc)
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body if len(body) <= 65533 else b""


def png_xmp(xmp: bytes) -> bytes:
    """An XMP packet as the body of a PNG's chunk iTXt."""
    return b"XML:com.adobe.xmp\0\0\0\0\0" + xmp


def png_iptc(iptc: bytes) -> bytes:
    """IPTC's records as the body of a PNG's chunk zTXt, as ImageMagick and ExifTool write them."""
    data = resource(iptc)
    digits = data.hex()
    lines = "\n".join(digits[start : start + 72] for start in range(0, len(digits), 72))
    return _TEXT.encode() + b"\0\0" + zlib.compress(f"\niptc\n{len(data):8}\n{lines}\n".encode())
