"""What an evaluation measured: a number for each picture, method and measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.metrics.measures import CERTAIN, MEASURES, RIM

if TYPE_CHECKING:
    from mfsynth.sample import Picture


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one fused picture.

    Args:
        image: The stack's name.
        method: The method's name.
        values: By the measure's name, in the order of `MEASURES`; NaN where a measure is not defined.
    """

    image: str
    method: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Scores:
    """Everything that an evaluation measured.

    Args:
        data: The data's name, for people.
        images: Names of the stacks that all methods were scored on, in order.
        methods: Names, in the order asked for.
        rows: One for each image and method or reference.
        noise: Standard deviation of each image's noise, in units of full range; empty if unknown.
        references: Best choices of a frame, which only bound what methods can do: they have no rank, and are
            never the best; see `zoo.evaluation.references`.
    """

    data: str
    images: tuple[str, ...]
    methods: tuple[str, ...]
    rows: tuple[Row, ...]
    noise: tuple[float, ...] = ()
    references: tuple[str, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures that some picture has a value of, in the order of `MEASURES`.

        Where some frame shows the truth everywhere, the measures of that part say nothing new, and are not
        among them.
        """
        known = {name for row in self.rows for name, value in row.values.items() if not math.isnan(value)}
        rim = any(name.endswith(RIM) for name in known)
        return tuple(name for name in MEASURES if name in known and (rim or not name.endswith(CERTAIN)))

    def table(self, measure: str, methods: Sequence[str] = ()) -> NDArray[np.float64]:
        """One measure, images x methods; NaN where it was not measured or is not defined."""
        values = {(row.image, row.method): row.values.get(measure, np.nan) for row in self.rows}
        chosen = methods or self.methods
        return np.array([[values.get((image, method), np.nan) for method in chosen] for image in self.images])


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """One stack to show, and what the methods made of it.

    Args:
        image: The stack's name.
        frames: The frames, H x W x 3 uint8 RGB.
        truth: The ground truth, None where it is not known.
        focus: What a decision map should be, H x W uint8, None where it is not known.
        fused: Fused pictures by the name of the method or reference, in order.
        decisions: Decision maps, H x W uint8, of the methods that have one.
        certain: H x W uint8, 255 where some frame shows the truth; None if one does everywhere.
    """

    image: str
    frames: tuple[Picture, ...]
    truth: Picture | None
    focus: NDArray[np.uint8] | None
    fused: dict[str, Picture]
    decisions: dict[str, NDArray[np.uint8]]
    certain: NDArray[np.uint8] | None = None
