"""What an evaluation measured: a number for each picture, method and measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.metrics.measures import MEASURES

if TYPE_CHECKING:
    from mfsynth.sample import Picture


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one fused picture.

    Args:
        image: The pair's name.
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
        images: Names of the pairs that all methods were scored on, in order.
        methods: Names, in the order asked for.
        rows: One for each image and method.
        noise: Standard deviation of each image's noise, in units of full range; empty if unknown.
    """

    data: str
    images: tuple[str, ...]
    methods: tuple[str, ...]
    rows: tuple[Row, ...]
    noise: tuple[float, ...] = ()

    @property
    def measures(self) -> tuple[str, ...]:
        """Names of the measures that some picture has, in the order of `MEASURES`."""
        return tuple(name for name in MEASURES if any(name in row.values for row in self.rows))

    def table(self, measure: str, methods: Sequence[str] = ()) -> NDArray[np.float64]:
        """One measure, images x methods; NaN where it was not measured or is not defined."""
        values = {(row.image, row.method): row.values.get(measure, np.nan) for row in self.rows}
        chosen = methods or self.methods
        return np.array([[values.get((image, method), np.nan) for method in chosen] for image in self.images])


@dataclass(frozen=True, slots=True, eq=False)
class Exhibit:
    """One pair to show, and what the methods made of it.

    Args:
        image: The pair's name.
        frames: The two frames, H x W x 3 uint8 RGB.
        truth: The ground truth, None where it is not known.
        focus: The focus map, H x W uint8, None where it is not known.
        fused: Fused pictures by method's name, in order.
        decisions: Decision maps, H x W uint8, of the methods that have one.
    """

    image: str
    frames: tuple[Picture, Picture]
    truth: Picture | None
    focus: NDArray[np.uint8] | None
    fused: dict[str, Picture]
    decisions: dict[str, NDArray[np.uint8]]
