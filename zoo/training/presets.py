"""Presets: the training of the paper, and a fast modern one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from zoo.errors import ConfigError
from zoo.networks import Config
from zoo.training.options import KINDS, TrainOptions

if TYPE_CHECKING:
    from zoo.training.options import Kind

Preset = Literal["fast", "paper"]

NOISE = (0.0, 0.1)
"""Range of the noise for noisy HF-Reg; the paper does not say how far its variance varies."""


def preset(kind: Kind, name: Preset) -> TrainOptions:
    """The options of a preset for one of the networks of the paper.

    Raises:
        ConfigError: If there is no such network or preset.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no network {kind!r} to train", f"known: {', '.join(KINDS)}")
    if name == "paper":
        return _paper(kind)
    if name == "fast":
        return _fast(kind)
    raise ConfigError(f"there is no preset {name!r}", "known: fast, paper")


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
    """AdamW at 2e-3 with warm-up and cosine decay, small crops, bf16, frames as a camera would store them."""
    if kind == "hf-seg":
        return TrainOptions(model=Config(task="seg", width=16), loss="cross-entropy")
    clean = TrainOptions(model=Config(task="reg", width=16, residual=True), loss="l1")
    return replace(clean, noise=NOISE, capture=False) if kind == "noisy-hf-reg" else clean
