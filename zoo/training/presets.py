"""Presets: of the paper's networks its training and a fast modern one; of the network for sets, two sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from zoo.errors import ConfigError
from zoo.networks import Config
from zoo.training.options import KINDS, TrainOptions

if TYPE_CHECKING:
    from zoo.training.options import Kind

Preset = Literal["fast", "paper", "base", "small"]

_OF_THE_PAPER: tuple[Preset, ...] = ("fast", "paper")
PRESETS: dict[Kind, tuple[Preset, ...]] = {
    "focus-set": ("base", "small"),
    "hf-seg": _OF_THE_PAPER,
    "hf-reg": _OF_THE_PAPER,
    "noisy-hf-reg": _OF_THE_PAPER,
}
"""The presets of each kind of network; the first is the default."""
NOISE = (0.0, 0.1)
"""Range of the noise for noisy HF-Reg; the paper does not say how far its variance varies."""
UNEQUAL, UNBALANCED = 1.2, 0.15
"""Exposure and white balance of each frame by itself, in stops: decisions should not depend on them."""
WIDTHS = {"base": 16, "small": 8}
"""Channels of the networks for sets."""


def preset(kind: Kind, name: Preset | None = None) -> TrainOptions:
    """The options of a preset for one kind of network.

    Args:
        kind: One of `KINDS`.
        name: One of its `PRESETS`; None takes the first.

    Raises:
        ConfigError: If there is no such kind, or it has no such preset.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no network {kind!r} to train", f"known: {', '.join(KINDS)}")
    name = name or PRESETS[kind][0]
    if name not in PRESETS[kind]:
        raise ConfigError(f"{kind} has no preset {name!r}", f"it can be {' or '.join(PRESETS[kind])}")
    if kind == "focus-set":
        return _set(WIDTHS[name])
    return _paper(kind) if name == "paper" else _fast(kind)


def _paper(kind: Kind) -> TrainOptions:
    """Section V: Adam at 1e-5, three pairs and their reversals, 400 x 400 crops, weights every 20 epochs."""
    seg = kind == "hf-seg"
    return TrainOptions(
        model=Config(task="seg" if seg else "reg", width=64, depth=4, padding="valid"),
        loss="cross-entropy" if seg else "nps6",
        optimizer="adam",
        lr=1e-5,
        weight_decay=0.0,
        schedule="constant",
        warmup=0,
        steps=0,
        epochs=500 if kind == "noisy-hf-reg" else 1000,
        pairs=3,
        clip=0.0,
        crop=400,
        rotate=False,
        exposure=0.0,
        noise=NOISE if kind == "noisy-hf-reg" else (0.0, 0.0),
        capture=False,
        precision="fp32",
        channels_last=False,
        keep_every=20,
    )


def _fast(kind: Kind) -> TrainOptions:
    """AdamW at 2e-3 with warm-up and cosine decay, small crops, frames as a camera would store them."""
    if kind == "hf-seg":
        model = Config(task="seg", width=16)
        return TrainOptions(model=model, loss="cross-entropy", unequal=UNEQUAL, unbalanced=UNBALANCED)
    clean = TrainOptions(model=Config(task="reg", width=16, residual=True), loss="l1")
    return replace(clean, noise=NOISE, capture=False) if kind == "noisy-hf-reg" else clean


def _set(width: int) -> TrainOptions:
    """Like `_fast`, with two to six frames, smaller crops, pixels weighed by stakes, and weights averaged.

    Most errors are within two pixels of an edge of the focus map, and small crops have more of them.
    """
    return replace(
        _fast("hf-seg"),
        model=Config(task="seg", width=width, depth=3).changed(architecture="focus-set"),
        loss="cross-entropy-by-stakes",
        frames=(2, 6),
        pairs=16,
        crop=80,
        windows=8,
        ema=0.999,
    )
