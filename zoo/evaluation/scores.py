"""What an evaluation measured: a number for each picture, method and measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mfsynth.sample import Picture


QUALITY = ("q_mi", "q_te", "q_ncie", "q_g", "q_p", "q_s", "q_cb")
"""The paper's measures, which need no ground truth, in its order."""


@dataclass(frozen=True, slots=True)
class Measure:
    """How a measure is written, and which way is up.

    Attributes:
        label: For people, with its unit.
        form: How its values are written.
        rising: Whether more is better.
    """

    label: str
    form: str = "{:.4f}"
    rising: bool = True


MEASURES: dict[str, Measure] = {
    "q_mi": Measure("Q_MI"),
    "q_te": Measure("Q_TE"),
    "q_ncie": Measure("Q_NCIE"),
    "q_g": Measure("Q_G"),
    "q_p": Measure("Q_P"),
    "q_s": Measure("Q_S"),
    "q_cb": Measure("Q_CB"),
    "psnr": Measure("PSNR, dB", "{:.2f}"),
    "ssim": Measure("SSIM"),
    "accuracy": Measure("decision"),
    "psnr_band": Measure("PSNR at edges, dB", "{:.2f}"),
    "ssim_band": Measure("SSIM at edges"),
    "accuracy_band": Measure("decision at edges"),
    "swap_mean": Measure("swap, mean", "{:.1e}", rising=False),
    "swap_max": Measure("swap, largest", "{:.1e}", rising=False),
}
"""All measures, in the order of the tables' rows.

`psnr`, `ssim` and `accuracy` need the truth; `_band` is the same within 5 pixels of the focus map's edges;
`swap` is the squared difference of the pictures that both orders of the frames give, in [0, 1].
"""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one fused picture.

    Args:
        image: The pair's name.
        method: The method's name.
        values: By measure's name, in the order of `MEASURES`; NaN where a measure is not defined.
    """

    image: str
    method: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Scores:
    """All that an evaluation measured.

    Args:
        data: The data's name, for people.
        images: Names of the pairs that all methods were scored on, in order.
        methods: Names, in the order asked for.
        rows: One for each image and method.
        noise: Standard deviation of each image's noise, in units of full range; empty where nobody knows.
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
    """One pair with what the methods made of it, to be looked at.

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
