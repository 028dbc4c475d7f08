"""A run of shots, cut into scenes by the time they were taken and by how much they look alike."""

from __future__ import annotations

import math
import re
import statistics
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image, ImageOps

from zoo.pictures.exif import EXIF_PREFIX
from zoo.pictures.picture import BROKEN
from zoo.pictures.read import read_picture
from zoo.stacks.batches.grouping import as_counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

PAUSE = 5.0
"""Seconds between two shots of one scene that are never too many."""
LONGER = 4.0
"""How many times the usual gap a pause between scenes lasts at least."""
ALIKE = 0.8
"""Correlation of the small pictures of two neighbors in a stack.

Of 400 pairs of different scenes in train2017, one in a hundred had more than 0.82. Two halves of one picture,
blurred by 4 to 25 of 640 pixels in turn, shifted by up to 4 %, with 5 % of breathing, had 0.94 or more.
"""
_SIDE = 32
_REACH = 3
"""How far neighbors may be shifted, in pixels of the small pictures."""
_ORIENTATION, _LYING = 0x0112, (5, 6, 7, 8)
_EXIF, _TAKEN, _SUBSECONDS, _OFFSET = 0x8769, 0x9003, 0x9291, 0x9011


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What a picture file says about when it was taken and what it shows.

    Attributes:
        path: The file.
        taken: The camera's clock, without time zone; None if unknown.
        offset: The clock's offset from UTC; None if unknown.
        size: Width and height, upright, in pixels.
        small: 32 x 32, float32 gray, smoothed.
    """

    path: Path
    taken: datetime | None
    offset: timedelta | None
    size: tuple[int, int]
    small: NDArray[np.float32]


def shot_of(path: Path) -> Shot:
    """A file's time and its small picture; a JPEG is decoded only at an eighth of its size.

    Raises:
        PictureError: If it cannot be read.
    """
    return _jpeg_shot(path) or _any_shot(path)


def scenes(shots: Sequence[Shot]) -> list[tuple[Shot, ...]]:
    """Cut shots into scenes of neighbors: by pauses, by likeness, and where the size changes.

    Neighbors in time if all have one, else in the order of their names. A pause is longer than 5 seconds
    and than four times the usual gap between neighbors that look alike.
    """
    if not shots:
        return []
    run = _in_order(shots)
    gaps = [_seconds(one, other) for one, other in pairwise(run)]
    alike = [_alike(one, other) for one, other in pairwise(run)]
    known = [gap for gap, same in zip(gaps, alike, strict=True) if same and gap is not None]
    longest = max(PAUSE, LONGER * statistics.median(known)) if known else math.inf
    found = [[run[0]]]
    for shot, gap, same in zip(run[1:], gaps, alike, strict=True):
        if same and (gap is None or gap <= longest):
            found[-1].append(shot)
        else:
            found.append([shot])
    return [tuple(scene) for scene in found]


def _in_order(shots: Sequence[Shot]) -> list[Shot]:
    by_name = sorted(shots, key=lambda shot: as_counted(shot.path))
    if any(shot.taken is None for shot in shots):
        return by_name
    if any(shot.offset is None for shot in shots):
        return sorted(by_name, key=lambda shot: shot.taken or datetime.min)
    return sorted(by_name, key=_utc)


def _utc(shot: Shot) -> datetime:
    return (shot.taken or datetime.min) - (shot.offset or timedelta())


def _seconds(one: Shot, other: Shot) -> float | None:
    """From one shot to the next; None where a time is unknown."""
    if one.taken is None or other.taken is None:
        return None
    if one.offset is None or other.offset is None:
        return abs((other.taken - one.taken).total_seconds())
    return abs((_utc(other) - _utc(one)).total_seconds())


def _alike(one: Shot, other: Shot) -> bool:
    """Whether two small pictures correlate, at whichever small shift they do most."""
    if one.size != other.size:
        return False
    inner = other.small[_REACH:-_REACH, _REACH:-_REACH]
    if min(float(one.small.std()), float(inner.std())) < 1:  # nothing to see in one: no reason to cut
        return True
    return float(cv2.matchTemplate(one.small, inner, cv2.TM_CCOEFF_NORMED).max()) >= ALIKE


# --- reading ------------------------------------------------------------------------------------------


def _jpeg_shot(path: Path) -> Shot | None:
    """A JPEG's; None if it is not one, or is odd in any way."""
    with suppress(*BROKEN), Image.open(path) as image:
        if image.format not in ("JPEG", "MPO"):
            return None
        exif, (width, height) = image.getexif(), image.size
        size = (height, width) if exif.get(_ORIENTATION, 1) in _LYING else (width, height)
        image.draft("L", (8 * _SIDE, 8 * _SIDE))
        gray = np.asarray(ImageOps.exif_transpose(image).convert("L"), np.float32)
        return Shot(path, *_time(exif), size, _small(gray))
    return None


def _any_shot(path: Path) -> Shot:
    picture = read_picture(path)
    exif = Image.Exif()
    with suppress(*BROKEN):
        exif.load(EXIF_PREFIX + picture.exif if picture.exif else b"")
    pixels = picture.pixels.astype(np.float32)
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    height, width = gray.shape
    return Shot(path, *_time(exif), (width, height), _small(gray * (255 / max(gray.max(), 1))))


def _small(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    small = cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.5), np.float32)


def _time(exif: Image.Exif) -> tuple[datetime | None, timedelta | None]:
    """When a picture was taken by its camera's clock, to the fraction of a second, and the clock's offset."""
    tags = exif.get_ifd(_EXIF)
    try:
        taken = datetime.strptime(_text(tags.get(_TAKEN)), "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None, None
    digits = _text(tags.get(_SUBSECONDS))
    if digits.isdecimal():
        taken += timedelta(seconds=float(f"0.{digits}"))
    match = re.fullmatch(r"([+-])(\d\d):(\d\d)", _text(tags.get(_OFFSET)))
    if match is None:
        return taken, None
    offset = timedelta(hours=int(match[2]), minutes=int(match[3]))
    return taken, -offset if match[1] == "-" else offset


def _text(value: object) -> str:
    return value.strip("\0 ") if isinstance(value, str) else ""
