"""A known pair, drawn by code: a network is tested on it before it is published, and its card shows it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

import mfsynth
from mfsynth.coco.demo import draw_demo
from mfsynth.console import count
from mfsynth.errors import MfsynthError
from zoo.errors import ZooError
from zoo.fusing.fuse_frames import fuse
from zoo.metrics import psnr
from zoo.store import registry
from zoo.store.files import FILES
from zoo.store.find import find
from zoo.store.folder import load_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mfsynth.sample import Picture, Sample
    from zoo.fusing.fuse_frames import Fused, FusionNetwork
    from zoo.store.find import Origin

SIGMA = 4.0
"""Blur of the pair, in pixels."""
_SHOWN = 320
_QUALITY = 90


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """The known pair, and what a network makes of it in either order of the frames."""

    sample: Sample
    fused: Fused
    swapped: Fused

    def picture(self) -> bytes:
        """JPEG: both frames, the fused picture, and eight times its error, side by side."""
        error = 8 * np.abs(self.fused.image.astype(np.int16) - self.sample.gt).clip(0, 31)
        shown = [*self.sample.frames, self.fused.image, error.astype(np.uint8)]
        row = np.hstack([_middle(each) for each in shown])
        data = cv2.imencode(".jpg", row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
        return data.tobytes()


@cache
def known_pair() -> Sample:
    """The first scene of the demo split; each of its objects is sharp in one frame."""
    with TemporaryDirectory() as folder:
        draw_demo(Path(folder), images=1)
        return next(iter(mfsynth.synthesize(folder, "demo", sigma=(SIGMA, SIGMA))))


def fuse_example(model: FusionNetwork) -> Example:
    """What a network makes of the known pair."""
    sample = known_pair()
    return Example(sample, fuse(model, sample.frames), fuse(model, sample.frames[::-1]))


def check(example: Example) -> None:
    """Check that the network does what every network must do.

    Raises:
        ZooError: If the picture is constant or of the wrong size, or depends on the order of the frames.
    """
    image = example.fused.image
    if image.shape != example.sample.gt.shape or image.min() == image.max():
        raise ZooError("the network does not fuse the known pair", "train it again")
    if not np.array_equal(image, example.swapped.image):
        raise ZooError("the network's picture depends on the order of the frames", "train it again")


@dataclass(frozen=True, slots=True)
class TriedOut:
    """A network that was loaded and tested: its files, and the PSNR of the known pair in dB."""

    name: str
    origin: str
    files: tuple[str, ...]
    hashed: bool
    psnr: float

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self)

    def line(self) -> str:
        """As a line for people."""
        hashes = "hashes match" if self.hashed else "no hashes known"
        files = count(len(self.files), "file")
        return f"{self.name}: {files}, {hashes}; known pair {self.psnr:.1f} dB; {self.origin}"


def try_out(name: str, *, revision: str | None = None, origin: Origin = "auto") -> TriedOut:
    """Check a network: the hashes of its files, strict loading, the known pair.

    Raises:
        ZooError, HubError: As one of their subclasses, if something is wrong.
    """
    found = find(name, revision=revision, origin=origin)
    example = fuse_example(load_folder(found.folder, found.hashes))
    check(example)
    files = tuple(each for each in FILES if (found.folder / each).is_file())
    hashed = bool(found.hashes) or found.from_hub
    return TriedOut(name, found.origin, files, hashed, psnr(example.sample.gt, example.fused.image))


@dataclass(frozen=True, slots=True)
class Verified:
    """The networks that passed, and the errors of the others, by name."""

    verified: tuple[TriedOut, ...]
    errors: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {"verified": [each.to_json() for each in self.verified], "errors": self.errors}

    def lines(self) -> list[str]:
        """As lines for people."""
        return [each.line() for each in self.verified]


def try_all(names: Sequence[str], *, revision: str | None = None, origin: Origin = "auto") -> Verified:
    """Check several networks; without any names, all that have a short name."""
    done, errors = [], {}
    for name in names or registry.names():
        try:
            done.append(try_out(name, revision=revision, origin=origin))
        except MfsynthError as error:
            errors[name] = str(error)
    return Verified(tuple(done), errors)


def _middle(picture: Picture) -> Picture:
    top, left = ((side - _SHOWN) // 2 for side in picture.shape[:2])
    return picture[top : top + _SHOWN, left : left + _SHOWN]
