"""evaluation.json: what was measured of a network, on which data, by which command. Cards quote it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import msgspec

from zoo.errors import ZooError
from zoo.evaluation.scores import MEASURES, QUALITY

RESULTS_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Result:
    """Means of one network over one set of pairs.

    Args:
        data: The set's name, for people.
        identity: The set's name for programs, such as `coco/val2017`.
        kind: Which of its kinds, such as `clean` or `captured`; empty for none.
        samples: Number of pairs.
        metrics: Means by name, such as `psnr`.
        command: What measured it.
    """

    data: str
    identity: str
    kind: str
    samples: int
    metrics: dict[str, float]
    command: str


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured of a network."""

    format: int
    results: tuple[Result, ...]

    def to_json(self) -> bytes:
        """As indented JSON."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_json(text: bytes, where: str = "evaluation.json") -> Results:
        """What `to_json` gave.

        Raises:
            ZooError: If it is something else, or of another release.
        """
        try:
            version = msgspec.json.decode(text, type=_Versioned).format
            if version != RESULTS_FORMAT:
                raise ZooError(f"{where} has format {version}", "update mfsynth")
            return msgspec.json.decode(text, type=Results)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ZooError(f"{where} is no evaluation: {error}", "evaluate the network again") from error


@dataclass(frozen=True)
class _Versioned:
    format: int


def results(*each: Result) -> Results:
    """Results of this release's format."""
    return Results(RESULTS_FORMAT, each)


METRICS: dict[str, tuple[str, str]] = {
    "psnr": ("PSNR of the fused picture, dB", "{:.2f}"),
    "ssim": ("SSIM of the fused picture", "{:.4f}"),
    "accuracy": ("accuracy of the decision map", "{:.4f}"),
    "psnr_band": ("PSNR within 5 pixels of the focus map's edges, dB", "{:.2f}"),
    "ssim_band": ("SSIM within 5 pixels of the focus map's edges", "{:.4f}"),
    "accuracy_band": ("accuracy of the decision map within 5 pixels of its edges", "{:.4f}"),
    "commutativity": ("mean squared difference of both orders", "{:.1e}"),
    "swap_mean": ("mean squared difference of both orders", "{:.1e}"),
    "swap_max": ("largest squared difference of both orders", "{:.1e}"),
    "loss": ("loss", "{:.4f}"),
    **{name: (MEASURES[name].label, MEASURES[name].form) for name in QUALITY},
}
"""Names for people, and how values are written."""


def shown(name: str, value: float) -> tuple[str, str]:
    """A metric's name and value, for people."""
    label, form = METRICS.get(name, (name, "{:.4f}"))
    return label, form.format(value)
