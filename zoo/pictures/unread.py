"""Kinds of files that are not read: what they are by their first bytes, and what to do about it."""

from __future__ import annotations

from mfsynth.codecs import kind_of, remedy
from mfsynth.codecs.kinds import NOTHING
from zoo.pictures.picture import Refusal

OME = "export it as OME-TIFF, in its own program or in Fiji: File > Save As > OME-TIFF"
_RAW = "give it its own suffix, such as .dng or .nef"
_VIDEO = "extract its frames first, with: ffmpeg -i FILE frame_%03d.png"
TIFF = "export it as TIFF or PNG"
_KINDS = {
    b"ZISRAWFILE": ("a Zeiss CZI file", OME),
    b"\xda\xce\xbe\x0a": ("a Nikon ND2 file", OME),
    b"\x70\0\0\0": ("a Leica LIF file", OME),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("a compound file, such as Olympus OIB and Zeiss ZVI", OME),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file", OME),
    b"SIMPLE  =": ("a FITS file", TIFF),
    b"gimp xcf": ("a GIMP file", TIFF),
    b"FUJIFILMCCD-RAW": ("a raw picture (RAF)", _RAW),
    b"FOVb": ("a raw picture (X3F)", _RAW),
    b"IIU\0": ("a raw picture (RW2)", _RAW),
    b"IIRO": ("a raw picture (ORF)", _RAW),
    b"IIRS": ("a raw picture (ORF)", _RAW),
    b"MMOR": ("a raw picture (ORF)", _RAW),
    b"\x1a\x45\xdf\xa3": ("a video", _VIDEO),
    b"\0\0\1\xba": ("a video", _VIDEO),
    b"\0\0\1\xb3": ("a video", _VIDEO),
}
"""What is not read, by its beginning, beyond the kinds that data sets meet, with what to do about it."""
_QUICKTIME = (b"moov", b"mdat", b"wide", b"free", b"skip")
"""What a QuickTime file may begin with, behind a length."""
PILLOWS = ("a JPEG", "a PNG", "a WebP", "a BMP", "a GIF")
"""Kinds that Pillow knows: those that it does not open are broken."""


def unread(data: bytes) -> Refusal:
    """Why a file is not read that every reader gave up on, from its bytes."""
    for beginning, (kind, hint) in _KINDS.items():
        if data.startswith(beginning):
            return Refusal(f"it is {kind}", hint)
    if data[128:132] == b"DICM":
        return Refusal("it is a DICOM file", TIFF)
    if data[4:8] in _QUICKTIME or (data[:4] == b"RIFF" and data[8:12] == b"AVI "):
        return Refusal("it is a video", _VIDEO)
    kind = kind_of(data)
    if kind in NOTHING:
        return Refusal("it is not a picture, is cut short, or is of an unknown kind")
    if kind in PILLOWS:
        return Refusal(f"it is {kind} that is broken or cut short")
    return Refusal(f"it is {kind}", _VIDEO if kind == "a video" else remedy(kind, TIFF))
