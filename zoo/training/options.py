"""TrainOptions: every setting of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from mfsynth import schema
from zoo.errors import ConfigError
from zoo.networks import Config
from zoo.store.find import is_repository
from zoo.training.losses import DECISION, REGRESSION

Kind = Literal["focus-set", "hf-seg", "hf-reg", "noisy-hf-reg"]
Optimizer = Literal["adam", "adamw"]
Schedule = Literal["constant", "cosine"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Target = Literal["nearest", "focus"]
Render = Literal["cpu", "device"]

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What decides the weights at the end of a training run, besides the data and the number of processes.

    Args:
        model: The network.
        loss: seg: `cross-entropy`; with `+l1`, also that of the fused picture; with `-by-stakes`, a pixel
            counts by how much worse the next best frame is. reg: `nps6`, `nps8`, `nps10`, `l1` or `mse`.
        optimizer: `adam` or `adamw`, with PyTorch's betas.
        lr: Highest learning rate.
        weight_decay: Of AdamW.
        schedule: `constant`, or `cosine` down to 0.
        warmup: Number of steps in which the learning rate rises.
        steps: Number of optimizer steps; 0 means that `epochs` is used.
        epochs: Number of passes over the data, if `steps` is 0.
        pairs: Number of samples in a minibatch, pairs or sets, per process.
        reversals: Add the reversal of each pair to the minibatch. Networks that are commutative by
            construction learn the same without it.
        accumulate: Number of minibatches per optimizer step.
        clip: Largest norm of the gradient; 0 means no limit.
        crop: Side of the square crops, in pixels.
        mirror: Mirror crops at random.
        rotate: Rotate crops by a multiple of 90 degrees at random.
        exposure: Largest change of exposure, in stops up or down, equal for frames and truth; 0 means none.
        noise: Smallest and largest standard deviation of the noise that is added to each frame, as a
            fraction of the full range, drawn for each sample; the truth stays clean. (0, 0) means none.
        capture: Add what a camera adds, where recipes do not decide on it.
        precision: Of the arithmetic; weights are always float32. `auto` is bf16 where the processor has
            instructions for it, otherwise fp32.
        channels_last: Whether tensors are stored channels last.
        ema: Decay of the averaged weights per step; 0 means no averaging.
        seed: Of the weights, the order of the data, crops and augmentation.
        validate_every: Number of steps between validations.
        checkpoint_every: Number of steps between checkpoints.
        keep_every: Number of epochs between weights that are kept, if `epochs` is used; 0 keeps none.
        target: What decisions are trained on and measured against: `nearest`, the frame that is nearest to
            the truth, or `focus`, the frame that is sharpest. They differ near edges, mostly where a
            defocused foreground spreads.
        aligned: Render every frame in the truth's geometry and exposure; otherwise as it is taken, with the
            change of scale that focusing causes, where recipes have one.
        frames: Smallest and largest number of frames of a sample, drawn for each; samples of fewer frames
            have all. More than two are for networks that take sets of frames.
        unequal: seg: largest change of exposure of each frame by itself, in stops up or down, in half of the
            samples; 0 means none.
        unbalanced: seg: the same of each channel of each frame, in stops: another white balance.
        windows: Crops of each scene that is read, in different minibatches. Several take less time than one
            of several scenes: a scene's files are read and decoded once.
        start: A short name, a Hub repository or a folder: the network whose weights training begins with;
            empty draws them at random.

    Raises:
        ConfigError: If a value makes no sense.
    """

    model: Config
    loss: str
    optimizer: Optimizer = "adamw"
    lr: float = 2e-3
    weight_decay: float = 0.01
    schedule: Schedule = "cosine"
    warmup: int = 50
    steps: int = 2000
    epochs: int = 0
    pairs: int = 8
    reversals: bool = True
    accumulate: int = 1
    clip: float = 1.0
    crop: int = 128
    mirror: bool = True
    rotate: bool = True
    exposure: float = 0.5
    noise: tuple[float, float] = (0.0, 0.0)
    capture: bool = True
    precision: Precision = "auto"
    channels_last: bool = True
    ema: float = 0.0
    seed: int = 0
    validate_every: int = 250
    checkpoint_every: int = 250
    keep_every: int = 0
    target: Target = field(default="nearest", metadata=schema.since("0.2.0"))
    aligned: bool = field(default=True, metadata=schema.since("0.2.0"))
    frames: tuple[int, int] = field(default=(2, 2), metadata=schema.since("0.2.0"))
    unequal: float = field(default=0.0, metadata=schema.since("0.2.0"))
    unbalanced: float = field(default=0.0, metadata=schema.since("0.2.0"))
    windows: int = field(default=1, metadata=schema.since("0.2.0"))
    start: str = field(default="", metadata=schema.since("0.2.0"))

    def __post_init__(self) -> None:
        seg = self.model.task == "seg"
        losses = tuple(DECISION if seg else REGRESSION)
        rules = {
            "loss": (self.loss in losses, f"one of {', '.join(losses)}"),
            "optimizer": (self.optimizer in ("adam", "adamw"), "adam or adamw"),
            "lr": (0 < self.lr <= 1, "above 0 and at most 1"),
            "weight_decay": (0 <= self.weight_decay <= 1, "from 0 to 1"),
            "schedule": (self.schedule in ("constant", "cosine"), "constant or cosine"),
            "warmup": (self.warmup >= 0, "0 or more"),
            "steps": (
                self.steps >= 0 and bool(self.steps or self.epochs),
                "1 or more, unless epochs is set",
            ),
            "epochs": (self.epochs >= 0, "0 or more"),
            "pairs": (self.pairs >= 1, "1 or more"),
            "accumulate": (self.accumulate >= 1, "1 or more"),
            "clip": (self.clip >= 0, "0 (off) or more"),
            "crop": (self.crop >= 16, "16 or more"),
            "exposure": (0 <= self.exposure <= 3, "from 0 to 3"),
            "noise": (
                0 <= self.noise[0] <= self.noise[1] <= 1,
                "two numbers from 0 to 1, smaller first",
            ),
            "precision": (self.precision in get_args(Precision), "auto, fp32, bf16 or fp16"),
            "ema": (0 <= self.ema < 1, "from 0 (off) to below 1"),
            "seed": (0 <= self.seed < 1 << 63, "from 0 to 2^63 - 1"),
            "validate_every": (self.validate_every >= 1, "1 or more"),
            "checkpoint_every": (self.checkpoint_every >= 1, "1 or more"),
            "keep_every": (self.keep_every >= 0, "0 (none) or more"),
            "frames": (
                2 <= self.frames[0] <= self.frames[1] <= (255 if self.model.sets else 2),
                "two numbers from 2 to 255, smaller first" if self.model.sets else "2,2 for this network",
            ),
            "unequal": (0 <= self.unequal <= (3 if seg else 0), "from 0 to 3" if seg else "0 for reg"),
            "unbalanced": (0 <= self.unbalanced <= (1 if seg else 0), "from 0 to 1" if seg else "0 for reg"),
            "windows": (1 <= self.windows <= 64, "from 1 to 64"),
            "target": (self.target in get_args(Target), "nearest or focus"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise ConfigError(f"{name} is {getattr(self, name)!r}, it must be {rule}")

    @property
    def both_orders(self) -> bool:
        """Whether reversals are computed: commutative networks get the same gradient from either order."""
        return self.reversals and not self.model.commutative

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        told = {**schema.to_json(self), "model": self.model.to_json()}
        return told | {"start": called(self.start)} if self.start else told

    def override(self, settings: dict[str, str]) -> TrainOptions:
        """These options with some set from text, by name; the network's have the prefix `model.`.

        Raises:
            ConfigError: If a name is unknown or a value makes no sense.
        """
        own: dict[str, str] = {}
        network: dict[str, str] = {}
        for name, text in settings.items():
            (network if name.startswith("model.") else own)[name.removeprefix("model.")] = text
        model = self.model.changed(**_parse(Config, self.model, network))
        return replace(self, model=model, **_parse(TrainOptions, self, own))


def called(start: str) -> str:
    """What a network to start from is called on any machine: a folder of this one by its name only.

    It depends on the text only: `org/name` is taken for a Hub repository, even if it is a folder here.

    >>> called("ann/net"), called("/home/ann/set"), called("../set")
    ('ann/net', 'set', 'set')
    """
    return start if is_repository(start) else Path(start).name


def _parse(kind: type, current: object, settings: dict[str, str]) -> dict[str, Any]:
    """The values of a dataclass's fields from text; a comma separates two numbers."""
    parsed: dict[str, Any] = {}
    for name, text in settings.items():
        if name == "model" or name not in {each.name for each in fields(kind)}:
            known = ", ".join(each.name for each in fields(kind) if each.name != "model")
            raise ConfigError(f"there is no setting {name!r}", f"known: {known}")
        now = getattr(current, name)
        pair = isinstance(now, tuple)
        words = text.split(",")
        if pair and len(words) != 2:
            raise ConfigError(f"{name} is {text!r}, it must be two numbers with a comma between them")
        try:
            parsed[name] = msgspec.convert(
                words if pair else text,
                tuple[type(now[0]), ...] if pair else type(now),  # type: ignore[misc]
                strict=False,
            )
        except msgspec.ValidationError as error:
            raise ConfigError(f"{name} is {text!r}: {error}") from error
    return parsed
