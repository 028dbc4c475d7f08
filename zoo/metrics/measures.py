"""The table of measures: how each is written, and which way is better."""

from __future__ import annotations

from dataclasses import dataclass, replace

QUALITY = ("q_mi", "q_te", "q_ncie", "q_g", "q_p", "q_s", "q_cb")
"""The paper's measures, which need two frames and no ground truth, in its order."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure's labels and format.

    Attributes:
        label: Short, for tables, with its unit.
        title: In full, for cards; empty if the label is enough.
        form: The format of its values.
        rising: Whether more is better.
    """

    label: str
    title: str = ""
    form: str = "{:.4f}"
    rising: bool = True

    @property
    def full(self) -> str:
        """The title, or the label."""
        return self.title or self.label


_EDGES = "within 5 pixels of the focus map's edges"
_ORDERS = "squared difference of both orders"
_DECISION = "accuracy of the decision map"

CERTAIN, RIM = "_certain", "_rim"
"""Ends of the names of measures where some frame shows the truth, and where none does."""

_TRUE: dict[str, Measure] = {
    "psnr": Measure("PSNR, dB", "PSNR of the fused picture, dB", "{:.2f}"),
    "ssim": Measure("SSIM", "SSIM of the fused picture"),
    "accuracy": Measure("decision", _DECISION),
    "psnr_band": Measure("PSNR at edges, dB", f"PSNR {_EDGES}, dB", "{:.2f}"),
    "ssim_band": Measure("SSIM at edges", f"SSIM {_EDGES}"),
    "accuracy_band": Measure("decision at edges", f"{_DECISION} {_EDGES}"),
}
PARTS = {CERTAIN: "where some frame shows the truth", RIM: "where no frame shows the truth"}
_BRIEF = {CERTAIN: "where certain", RIM: "in the rim"}


def _in_part(whole: Measure, part: str) -> Measure:
    """A measure, taken only in a part of the picture."""
    label, comma, unit = whole.label.partition(", ")
    title, _, _ = whole.title.partition(", ")
    label, title = f"{label} {_BRIEF[part]}{comma}{unit}", f"{title} {PARTS[part]}{comma}{unit}"
    return replace(whole, label=label, title=title)


MEASURES: dict[str, Measure] = {
    "q_mi": Measure("Q_MI"),
    "q_te": Measure("Q_TE"),
    "q_ncie": Measure("Q_NCIE"),
    "q_g": Measure("Q_G"),
    "q_p": Measure("Q_P"),
    "q_s": Measure("Q_S"),
    "q_cb": Measure("Q_CB"),
    **_TRUE,
    **{name + part: _in_part(whole, part) for part in PARTS for name, whole in _TRUE.items()},
    "commutativity": Measure("commutativity", f"mean {_ORDERS}", "{:.1e}", rising=False),
    "swap_mean": Measure("swap, mean", f"mean {_ORDERS}", "{:.1e}", rising=False),
    "swap_max": Measure("swap, largest", f"largest {_ORDERS}", "{:.1e}", rising=False),
    "loss": Measure("loss", rising=False),
}
"""All measures, in the order of the tables.

Those of `QUALITY` need two frames. `psnr`, `ssim` and `accuracy` need the truth; `_band` is the same within
5 pixels of the focus map's edges; `_certain` and `_rim` are the same where some frame shows the truth, and
where none does. `swap` is the squared difference of the pictures that both orders of the frames give, in
[0, 1]; the other order of more than two is the reversed one. `commutativity` and `loss` come from training.
"""


def part_of(name: str) -> str:
    """The end of a measure's name, if it says in which part of the picture it is taken; else empty.

    >>> part_of("psnr_band_rim"), part_of("psnr_band")
    ('_rim', '')
    """
    return next((part for part in PARTS if name.endswith(part)), "")


def brief(name: str, value: float) -> str:
    """A measure's short label and value, for people.

    >>> brief("psnr", 51.352)
    'PSNR 51.35 dB'
    """
    measure = MEASURES.get(name, Measure(name))
    label, _, unit = measure.label.rpartition(", ")
    if unit != "dB":
        return f"{measure.label} {measure.form.format(value)}"
    return f"{label} {measure.form.format(value)} {unit}"


def shown(name: str, value: float) -> tuple[str, str]:
    """A measure's full name and value, for people."""
    measure = MEASURES.get(name, Measure(name))
    return measure.full, measure.form.format(value)
