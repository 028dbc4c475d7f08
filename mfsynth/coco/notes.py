"""What is noted of an image that is used: the codes that builds and manifests use, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.console import count, some

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

STORED = "orientation-stored"
UPRIGHT = "orientation-upright"
TRANSPARENT = "transparency"
SEVERAL = "several-pictures"

MEANING = {
    STORED: "it carries an orientation tag (EXIF or XMP), and is used as stored",
    UPRIGHT: "it carries an orientation tag (EXIF or XMP), and was turned upright",
    TRANSPARENT: "its transparency was dropped",
    SEVERAL: "its file holds several pictures, of which the first is used",
}


def lines(noted: Mapping[str, Sequence[int]]) -> list[str]:
    """What was noted of which images, in words.

    >>> print(*lines({"orientation-stored": [1, 5], "orientation-upright": [8]}))
    3 pictures carry an EXIF orientation; used as stored: 2 (1, 5); turned upright: 1 (8); see --orientation

    Args:
        noted: Ids of images, by code.
    """
    told = []
    stored, upright = noted.get(STORED, ()), noted.get(UPRIGHT, ())
    if stored or upright:
        parts = {"used as stored": stored, "turned upright": upright}
        done = "; ".join(f"{what}: {len(ids):,} ({some(ids)})" for what, ids in parts.items() if ids)
        tagged = _some_pictures(len(stored) + len(upright), "carries", "carry")
        told.append(f"{tagged} an EXIF orientation; {done}; see --orientation")
    if ids := noted.get(TRANSPARENT):
        has = _some_pictures(len(ids), "has", "have")
        told.append(f"{has} transparency, which was dropped: {some(ids)}")
    if ids := noted.get(SEVERAL):
        files = f"{count(len(ids), 'file')} {'holds' if len(ids) == 1 else 'hold'}"
        told.append(f"{files} several pictures (MPO), of which the first is used: {some(ids)}")
    return told


def _some_pictures(number: int, one: str, more: str) -> str:
    return f"{count(number, 'picture')} {one if number == 1 else more}"
