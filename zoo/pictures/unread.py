"""Kinds of files that are not read: what they are by their first bytes, and what to do about it."""

from __future__ import annotations

from mfsynth.codecs import kind_of, remedy
from mfsynth.codecs.kinds import NOTHING
from zoo.pictures.picture import EXPORT, Refusal

_OME = "export it as OME-TIFF, in its own program or in Fiji: File > Save As > OME-TIFF"
_RAW = "convert it to TIFF with your camera's program"
_VIDEO = "extract its frames first, with: ffmpeg -i FILE frame_%03d.png"
_MICROSCOPES = {
    b"ZISRAWFILE": "a Zeiss CZI file",
    b"\xda\xce\xbe\x0a": "a Nikon ND2 file",
    b"\x70\0\0\0": "a Leica LIF file",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a compound file, such as Olympus OIB and Zeiss ZVI",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file",
    b"SIMPLE  =": "a FITS file",
}
_RAWS = {
    b"FUJIFILMCCD-RAW": "a raw picture (RAF)",
    b"FOVb": "a raw picture (X3F)",
    b"IIU\0": "a raw picture (RW2)",
    b"IIRO": "a raw picture (ORF)",
    b"IIRS": "a raw picture (ORF)",
    b"MMOR": "a raw picture (ORF)",
}
_VIDEOS = {b"\x1a\x45\xdf\xa3": "a video", b"\0\0\1\xba": "a video", b"\0\0\1\xb3": "a video"}
_OTHERS = {b"gimp xcf": "a GIMP file"}
_PARTS = (b"moov", b"mdat", b"wide", b"free", b"skip")
"""What a QuickTime file begins with, other than its kind."""


def unread(data: bytes) -> Refusal:
    """Why a file is not read that no reader knows, from its bytes or the first of them."""
    for table, hint in ((_MICROSCOPES, _OME), (_RAWS, _RAW), (_VIDEOS, _VIDEO), (_OTHERS, EXPORT)):
        for beginning, kind in table.items():
            if data.startswith(beginning):
                return Refusal(f"it is {kind}", hint)
    if data[128:132] == b"DICM":
        return Refusal("it is a DICOM file", "export it as TIFF")
    if data[4:8] in _PARTS or (data[:4] == b"RIFF" and data[8:12] == b"AVI "):
        return Refusal("it is a video", _VIDEO)
    kind = kind_of(data)
    if kind in NOTHING:
        return Refusal("it is not a picture, is cut short, or is of an unknown kind")
    return Refusal(f"it is {kind}", _VIDEO if kind == "a video" else remedy(kind, "export it as TIFF or PNG"))
