"""Classic multi-focus fusion, to compare networks with: one file for each method, called like a model.

>>> names()
['average', 'cnn', 'dct', 'dct+cv', 'dummy-a', 'dummy-b', 'gff', 'im', 'pyramid']
>>> import numpy as np
>>> black, white = np.zeros((16, 16), np.uint8), np.full((16, 16), 255, np.uint8)
>>> get("average").fuse([black, white]).image[0, 0]
np.uint8(128)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from functools import partial
from typing import Protocol

from zoo.errors import UnknownModelError
from zoo.evaluation.baselines.cnn import Cnn
from zoo.evaluation.baselines.dct import Dct
from zoo.evaluation.baselines.gff import Gff
from zoo.evaluation.baselines.matting import Matting
from zoo.evaluation.baselines.pixels import Frame
from zoo.evaluation.baselines.pyramid import Pyramid
from zoo.evaluation.baselines.simple import Average, Dummy
from zoo.fusing.fuse_frames import Fused

__all__ = ["Average", "Baseline", "Cnn", "Dct", "Dummy", "Gff", "Matting", "Pyramid", "get", "names"]


class Baseline(Protocol):
    """A method of fusion."""

    def fuse(self, frames: Sequence[Frame]) -> Fused:
        """Fuse two or more frames, as `zoo.fusing.fuse_frames.check_frames` takes them.

        Raises:
            FrameError: If the frames cannot be fused.
        """


_METHODS: dict[str, Callable[[], Baseline]] = {
    "average": Average,
    "cnn": Cnn,
    "dct": Dct,
    "dct+cv": partial(Dct, verify=True),
    "dummy-a": partial(Dummy, 0),
    "dummy-b": partial(Dummy, 1),
    "gff": Gff,
    "im": Matting,
    "pyramid": Pyramid,
}


def names() -> list[str]:
    """The methods' names, sorted."""
    return sorted(_METHODS)


def get(name: str) -> Baseline:
    """The method with a name, with its authors' settings.

    Raises:
        UnknownModelError: If there is none; it names the closest.
        MissingExtraError: If the method needs a package that is not installed.
    """
    if name not in _METHODS:
        near = get_close_matches(name, _METHODS, n=3, cutoff=0.5) or names()
        raise UnknownModelError(f"there is no baseline {name!r}", f"did you mean {' or '.join(near)}?")
    return _METHODS[name]()
