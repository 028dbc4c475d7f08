"""The best choices of a frame for every pixel. They need the truth, so they are no competitors: bounds.

oracle           the frame whose pixel is nearest to the truth; no method that copies pixels can be better
right-decision   the frame that a decision map should name: the nearest one before noise (`nearest`)

Of noisy frames, the oracle also picks the luckiest noise, which no method can know. So the second row says
what a decision that is right everywhere gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mfsynth.errors import OptionsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from mfsynth.sample import Picture
    from zoo.evaluation.data import Stack


def oracle(stack: Stack) -> Picture | None:
    """Each pixel from the frame where it is nearest to the truth, by the sum of squares over the channels.

    Of equally near frames, the first. None where the truth is not known.
    """
    if stack.truth is None:
        return None
    picture, smallest = stack.frames[0].copy(), _error(stack.frames[0], stack.truth)
    for frame in stack.frames[1:]:
        error = _error(frame, stack.truth)
        nearer = error < smallest
        picture[nearer] = frame[nearer]
        np.minimum(smallest, error, out=smallest)
    return picture


def right_decision(stack: Stack) -> Picture | None:
    """Each pixel from the frame that a decision map should name.

    None where that is not known, or is the focus map: in the paper's pairs, that gives the truth itself.
    """
    if stack.truth is None or stack.nearest is None:
        return None
    picture = np.empty_like(stack.frames[0])
    for number, frame in enumerate(stack.frames):
        here = stack.nearest == number
        picture[here] = frame[here]
    return picture


REFERENCES: dict[str, Callable[[Stack], Picture | None]] = {
    "oracle": oracle,
    "right-decision": right_decision,
}
"""By their names in tables, which no method can have."""


def pictures_of(stack: Stack) -> dict[str, Picture]:
    """The references' pictures of a stack, by name; only those that there are."""
    made = {name: make(stack) for name, make in REFERENCES.items()}
    return {name: picture for name, picture in made.items() if picture is not None}


def check_names(names: Iterable[str]) -> None:
    """Check that no method has the name of a reference.

    Raises:
        OptionsError: If one does.
    """
    for name in names:
        if name in REFERENCES:
            raise OptionsError(
                f"{name} is the best choice of a frame for each pixel, not a method",
                "omit it: its row is there wherever the truth is known; or write NAME=METHOD to rename yours",
            )


def _error(frame: Picture, truth: Picture) -> NDArray[np.int32]:
    """The squared distance of every pixel, H x W."""
    difference = frame.astype(np.int32) - truth
    squares: NDArray[np.int32] = np.einsum("ijk,ijk->ij", difference, difference)
    return squares
