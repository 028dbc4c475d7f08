"""A known pair, drawn by code: what a network is tried on before it is published, and what its card shows."""

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
from zoo.errors import ZooError
from zoo.fusing.fusion import fuse
from zoo.metrics import psnr
from zoo.store.find import find
from zoo.store.folder import FILES, load_folder

if TYPE_CHECKING:
    from mfsynth.sample import Picture, Sample
    from zoo.fusing.fusion import Fused
    from zoo.networks import Network
    from zoo.store.find import Origin

SIGMA = 4.0
"""Blur of the pair, in pixels."""
_SHOWN = 320
_QUALITY = 90


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """The known pair, and what a network makes of it, both orders evaluated."""

    sample: Sample
    fused: Fused
    swapped: Fused

    def picture(self) -> bytes:
        """JPEG: both frames, the fused picture, its error eightfold, side by side."""
        error = 8 * np.abs(self.fused.image.astype(np.int16) - self.sample.gt).clip(0, 31)
        shown = [*self.sample.frames, self.fused.image, error.astype(np.uint8)]
        row = np.hstack([_middle(each) for each in shown])
        data = cv2.imencode(".jpg", row[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
        return data.tobytes()


@cache
def known_pair() -> Sample:
    """The first scene of the demo split, some of its objects sharp in one frame and the rest in the other."""
    with TemporaryDirectory() as folder:
        draw_demo(Path(folder), images=1)
        return next(iter(mfsynth.synthesize(folder, "demo", sigma=(SIGMA, SIGMA))))


def fuse_example(model: Network) -> Example:
    """What a network makes of the known pair."""
    sample = known_pair()
    return Example(sample, fuse(model, sample.frames), fuse(model, sample.frames[::-1]))


def check(example: Example) -> None:
    """Check that a network did what every network does.

    Raises:
        ZooError: If the picture is not one, or depends on the order of the frames.
    """
    image = example.fused.image
    if image.shape != example.sample.gt.shape or image.min() == image.max():
        raise ZooError("the network makes no picture of the known pair", "train it anew")
    if not np.array_equal(image, example.swapped.image):
        raise ZooError("the network's picture depends on the order of the frames", "train it anew")


@dataclass(frozen=True, slots=True)
class TriedOut:
    """A network that was loaded and tried: PSNR in dB of the known pair, and the files that it has."""

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
        hashes = "hashes right" if self.hashed else "no hashes known"
        return f"{self.name}: {len(self.files)} files, {hashes}; known pair {self.psnr:.1f} dB; {self.origin}"


def try_out(name: str, *, revision: str | None = None, origin: Origin = "auto") -> TriedOut:
    """Check a network: its files' hashes, strict loading, the known pair.

    Raises:
        ZooError, HubError: By their subclasses, if something is wrong.
    """
    found = find(name, revision=revision, origin=origin)
    example = fuse_example(load_folder(found.folder, found.hashes))
    check(example)
    files = tuple(each for each in FILES if (found.folder / each).is_file())
    hashed = bool(found.hashes) or found.from_hub
    return TriedOut(name, found.origin, files, hashed, psnr(example.sample.gt, example.fused.image))


def _middle(picture: Picture) -> Picture:
    top, left = ((side - _SHOWN) // 2 for side in picture.shape[:2])
    return picture[top : top + _SHOWN, left : left + _SHOWN]
