"""Everything that defines a network except its weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mfsynth import schema
from zoo.errors import ConfigError, NewerConfigError
from zoo.networks.architecture import Padding, Task, Upsampling
from zoo.networks.table import ARCHITECTURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from zoo.networks.architecture import Architecture

CONFIG_FORMAT = 1
PREPROCESSING = {"channels": "RGB", "range": [0.0, 1.0]}
"""What `forward` expects of its frames; part of the config, so that other programs need not guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that defines a network except its weights.

    Args:
        task: `seg` (which frame is sharp) or `reg` (the picture itself).
        architecture: A name in `zoo.networks.table.ARCHITECTURES`; `unet` is the network of the paper.
        width: Channels at full resolution; each level below has twice as many.
        depth: Number of times that the resolution is halved.
        out_channels: seg: 2 scores as in the paper, or 1 logit; reg: 3. 0 takes the architecture's default.
        padding: `same` (zeros), or `valid` as in the paper: the input is extended by mirroring, so that
            the output covers it exactly.
        upsampling: `transposed` convolution as in the paper, or `bilinear` and a 1x1 convolution.
        residual: reg: predict the difference from the frames' mean instead of the picture.

    Raises:
        ConfigError: If a value makes no sense.
    """

    task: Task
    architecture: str = "unet"
    width: int = 32
    depth: int = 4
    out_channels: int = 0
    padding: Padding = "same"
    upsampling: Upsampling = "transposed"
    residual: bool = False

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            raise ConfigError(
                f"architecture is {self.architecture!r:.40}", f"it can be {_choices(tuple(ARCHITECTURES))}"
            )
        if not self.out_channels:
            object.__setattr__(self, "out_channels", self.row.allowed(self)["out_channels"][0])
        for name, values in self.row.allowed(self).items():
            if getattr(self, name) not in values or isinstance(getattr(self, name), float):
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r:.40} in a {self.architecture} network for {self.task}",
                    f"it can be {_choices(values)}",
                )

    @property
    def row(self) -> Architecture:
        """The architecture's row in the table."""
        return ARCHITECTURES[self.architecture]

    @property
    def commutative(self) -> bool:
        """Whether one pass gives the same for either order of the frames; see `Architecture`."""
        return self.row.commutative

    @property
    def sets(self) -> bool:
        """Whether one pass scores any number of frames; see `Architecture`."""
        return self.row.sets

    @property
    def stride(self) -> int:
        """Pixels by which a picture can be shifted without changing the result otherwise."""
        return self.row.stride(self)

    @property
    def reach(self) -> int:
        """How far away, in pixels, an input value can be and still change an output value."""
        return self.row.reach(self)

    def build(self) -> nn.Module:
        """The module, with PyTorch's own initial weights."""
        return self.row.build(self)

    def changed(self, **changes: Any) -> Config:
        """This config with some fields changed; a new architecture brings its own values where needed.

        Raises:
            ConfigError: If a value makes no sense.
        """
        name = changes.get("architecture", self.architecture)
        if name != self.architecture and name in ARCHITECTURES:
            allowed = ARCHITECTURES[name].allowed(self)
            own = {
                field: values[0]
                for field, values in allowed.items()
                if field != "task" and getattr(self, field) not in values
            }
            changes = {**own, "out_channels": 0, **changes}
        return replace(self, **changes)

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types, with the format's version."""
        return {"format": CONFIG_FORMAT, "preprocessing": PREPROCESSING, **schema.to_json(self)}

    @staticmethod
    def from_json(values: dict[str, Any], release: str = "") -> Config:
        """The config that `to_json` gave; fields that are absent take their defaults.

        Args:
            values: By name.
            release: The release that wrote them, if known.

        Raises:
            ConfigError: If it is from a newer release, has unknown names, or makes no sense.
        """
        version = values.get("format")
        if version != CONFIG_FORMAT:
            newer = isinstance(version, int) and version > CONFIG_FORMAT
            raise (NewerConfigError if newer else ConfigError)(
                f"the config has format {version!r:.40}, this release reads {CONFIG_FORMAT}",
                "update mfsynth" if newer else "use a network that mfsynth wrote",
            )
        if values.get("preprocessing") != PREPROCESSING:
            raise ConfigError(
                f"the config needs frames prepared as {values.get('preprocessing')!r:.80}", "update mfsynth"
            )
        given = {name: value for name, value in values.items() if name not in ("format", "preprocessing")}
        return schema.from_json(given, Config, "the config's entries", error=ConfigError, release=release)

    @staticmethod
    def read(text: str | bytes, release: str = "") -> Config:
        """The config in a JSON text.

        Raises:
            ConfigError: If there is none.
        """
        data = text.encode() if isinstance(text, str) else text
        return Config.from_json(schema.decode(data, dict[str, Any], "the config", error=ConfigError), release)


def _choices(values: Sequence[object]) -> str:
    if isinstance(values, range):
        return f"from {values[0]} to {values[-1]}"
    return " or ".join(map(repr, values))
