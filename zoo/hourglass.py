"""The networks behind one interface: the paper's multi-source U-Net, `odd`, commutative by construction, and
`siamese`, the classic one (`zoo.siamese`).

A network takes two frames, N x 3 x H x W float in [0, 1], RGB, and returns

- HF-Seg (`task="seg"`): N x 1 x H x W, the logit of frame 0 against frame 1. Its sigmoid is z_0 of Eq. 2;
- HF-Reg (`task="reg"`): N x 3 x H x W, the fused picture.

Results are float32, whatever the weights' dtype is.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from zoo.errors import ConfigError, NewerConfigError
from zoo.siamese import REACH, Siamese

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from huggingface_hub import ModelCard

    from zoo.fusion import Burst, Fused, Rule

Task = Literal["seg", "reg"]
Architecture = Literal["unet", "odd", "siamese"]
Padding = Literal["same", "valid"]
Upsampling = Literal["transposed", "bilinear"]

CONFIG_FORMAT = 1
PREPROCESSING = {"channels": "RGB", "range": [0.0, 1.0]}
"""What `forward` expects of its frames; part of a config, so that others who load it need not guess."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All that defines a network but its weights.

    Args:
        task: `seg` (which frame is sharp) or `reg` (the picture itself).
        architecture: `unet` (the paper's), `odd`, or `siamese` (seg alone, with depth 1).
        width: Channels at full resolution; each level below has twice as many.
        depth: Number of times that the resolution is halved.
        out_channels: seg: 2 scores as in the paper, or 1 logit; reg: 3. 0 takes the architecture's own.
        padding: `same` (zeros), or `valid` as in the paper: the input is extended by mirroring, so that
            the output covers it exactly.
        upsampling: `transposed` convolution as in the paper, or `bilinear` and a 1x1 convolution.
        residual: reg: predict the difference from the frames' mean instead of the picture.

    Raises:
        ConfigError: If a value makes no sense.
    """

    task: Task
    architecture: Architecture = "unet"
    width: int = 32
    depth: int = 4
    out_channels: int = 0
    padding: Padding = "same"
    upsampling: Upsampling = "transposed"
    residual: bool = False

    def __post_init__(self) -> None:
        if not self.out_channels:
            own = 3 if self.task == "reg" else 1 if self.commutative else 2
            object.__setattr__(self, "out_channels", own)
        siamese = self.architecture == "siamese"
        allowed: dict[str, Sequence[object]] = {
            "task": ("seg",) if siamese else ("seg", "reg"),
            "architecture": ("unet", "odd", "siamese"),
            "width": range(1, 1025),
            "depth": (1,) if siamese else range(1, 9),
            "out_channels": (3,) if self.task == "reg" else (1,) if self.commutative else (1, 2),
            "padding": ("same",) if self.commutative else ("same", "valid"),
            "upsampling": ("bilinear",) if siamese else ("transposed", "bilinear"),
            "residual": (False, True) if (self.task, self.architecture) == ("reg", "unet") else (False,),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values or isinstance(getattr(self, name), float):
                raise ConfigError(
                    f"{name} is {getattr(self, name)!r}, network {self.architecture} for {self.task}",
                    f"it can be {_choices(values)}",
                )

    @property
    def commutative(self) -> bool:
        """Whether a swap of the frames negates a logit and leaves a picture by construction, in one pass."""
        return self.architecture in ("odd", "siamese")

    @property
    def stride(self) -> int:
        """Pixels that become one at the bottom; results do not change when a picture moves by this many."""
        return 1 << self.depth

    @property
    def reach(self) -> int:
        """How far away, in pixels, a value of the input can be and still change a value of the output."""
        if self.architecture == "siamese":
            return REACH
        return _reach(self.depth, 1 if self.architecture == "odd" else 2, self.upsampling == "bilinear")

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types, with the format's version."""
        return {"format": CONFIG_FORMAT, "preprocessing": PREPROCESSING, **asdict(self)}

    @staticmethod
    def from_json(values: dict[str, Any]) -> Config:
        """The config that `to_json` gave.

        Raises:
            ConfigError: If it is of a newer release, has unknown names, lacks some, or makes no sense.
        """
        version = values.get("format")
        if version != CONFIG_FORMAT:
            newer = isinstance(version, int) and version > CONFIG_FORMAT
            raise (NewerConfigError if newer else ConfigError)(
                f"the config has format {version!r}, this release reads {CONFIG_FORMAT}",
                "update mfsynth" if newer else "take a network that mfsynth made",
            )
        names = {each.name for each in fields(Config)}
        given = {name: value for name, value in values.items() if name not in ("format", "preprocessing")}
        if values.get("preprocessing") != PREPROCESSING:
            raise ConfigError(
                f"the config asks for frames as {values.get('preprocessing')}", "update mfsynth"
            )
        if given.keys() != names:
            odd = ", ".join(sorted(given.keys() ^ names))
            raise ConfigError(f"the config has unknown entries or lacks some: {odd}", "update mfsynth")
        try:
            return msgspec.convert(given, Config)
        except msgspec.ValidationError as error:
            raise ConfigError(f"the config is malformed: {error}") from error

    @staticmethod
    def read(text: str | bytes) -> Config:
        """The config in a JSON text.

        Raises:
            ConfigError: If there is none.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise ConfigError(f"the config is no JSON: {error}") from error
        if not isinstance(values, dict):
            raise ConfigError("the config is no JSON object")
        return Config.from_json(values)


class Hourglass(nn.Module, PyTorchModelHubMixin, library_name="mfsynth", tags=["multi-focus-image-fusion"]):
    """A fusion network. Call it with two batches of frames, or use `fuse` on pictures.

    Args:
        config: What to build. Weights are drawn Xavier-normal from torch's global generator.

    Attributes:
        documents: What is known of the weights, by file name, byte for byte: training.json, evaluation.json.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.documents: dict[str, bytes] = {}
        bodies = {"unet": UNet, "odd": Odd, "siamese": Siamese}
        self.body: nn.Module = bodies[config.architecture](config)
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_normal_(layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """One pass, in the order given.

        Args:
            a: Frame 0, N x 3 x H x W, float32 in [0, 1].
            b: Frame 1, the same.

        Returns:
            seg: N x 1 x H x W logits of frame 0 against frame 1. reg: N x 3 x H x W pictures. float32.
        """
        return self.body(a, b)  # type: ignore[no-any-return]

    def symmetric(self, a: Tensor, b: Tensor) -> Tensor:
        """Both orders, antisymmetrised: a swap negates a logit and leaves a picture, bit for bit.

        Networks that are commutative by construction need one pass for it.
        """
        if self.config.commutative:
            return self(a, b)  # type: ignore[no-any-return]
        if self.config.task == "seg":
            return (self(a, b) - self(b, a)) / 2  # type: ignore[no-any-return]
        return (self(a, b) + self(b, a)) / 2  # type: ignore[no-any-return]

    def fuse(
        self,
        frames: Sequence[np.ndarray],
        *,
        rule: Rule | None = None,
        burst: Burst = "joint",
        symmetric: bool = True,
        tile: int | None = None,
    ) -> Fused:
        """Fuse two or more pictures; see `zoo.fusion.fuse`."""
        from zoo.fusion import fuse

        return fuse(self, frames, rule=rule, burst=burst, symmetric=symmetric, tile=tile)

    @property
    def parameters_count(self) -> int:
        """Number of weights."""
        return sum(weights.numel() for weights in self.parameters())

    # --- what PyTorchModelHubMixin's users expect; it writes and reads a network's folder as the zoo does

    @classmethod
    def from_pretrained(  # type: ignore[override]  # nothing that is not understood is swallowed
        cls,
        pretrained_model_name_or_path: str | Path,
        *,
        force_download: bool = False,
        token: str | bool | None = None,
        cache_dir: str | Path | None = None,
        local_files_only: bool = False,
        revision: str | None = None,
        map_location: str = "cpu",
        strict: Literal[True] = True,
    ) -> Hourglass:
        """A network from a folder or a Hub repository, in eval mode; see `zoo.load` for short names.

        Unlike the mixin's own, it checks every hash, refuses a config that it does not understand, takes no
        pickles, and keeps training.json with the network.
        """
        from zoo.folder import load_folder
        from zoo.hub import pull

        if strict is not True:
            raise ConfigError("weights are loaded strictly", "leave strict away")
        folder = Path(pretrained_model_name_or_path)
        if not folder.is_dir():
            folder = pull(
                str(pretrained_model_name_or_path),
                revision,
                cache=Path(cache_dir) if cache_dir else None,
                token=token,
                force=force_download,
                local=local_files_only,
            ).folder
        return load_folder(folder).to(map_location)

    def _save_pretrained(self, save_directory: Path) -> None:
        from zoo.folder import save_folder

        save_folder(save_directory, self)

    def push_to_hub(  # type: ignore[override]  # nothing that is not understood is swallowed
        self,
        repo_id: str,
        *,
        private: bool = False,
        branch: str | None = None,
        create_pr: bool = False,
    ) -> str:
        """Publish; see `zoo.push`, which this calls. Returns the page of the repository or pull request."""
        from zoo.hub import push

        report = push(self, repo_id, private=private, revision=branch, create_pr=create_pr)
        return report.pull_request or report.url

    def generate_model_card(self, *_: Any, **__: Any) -> ModelCard:
        """The card that `zoo.push` writes, for a folder."""
        from zoo.cards import model_card

        return model_card(self)


class UNet(nn.Module):
    """Encoder, decoder, skips (section IV-B), on both frames as six channels; no normalisation layers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = [config.width << level for level in range(config.depth + 1)]
        padding = 1 if config.padding == "same" else 0
        self.down = nn.ModuleList(_convs(n_in, n_out, padding) for n_in, n_out in pairwise([6, *widths]))
        upward = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(_up(n_in, n_out, config.upsampling) for n_in, n_out in upward)
        self.join = nn.ModuleList(_convs(2 * n_out, n_out, padding) for _, n_out in upward)
        self.head = nn.Conv2d(config.width, config.out_channels, 1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Hourglass.forward`."""
        out = self.trunk(torch.cat([a, b], 1).to(self.head.weight.dtype)).float()
        if self.config.out_channels == 2:
            return out[:, :1] - out[:, 1:]  # the logit of softmax's z_0
        return (a + b) / 2 + out if self.config.residual else out

    def trunk(self, x: Tensor) -> Tensor:
        """Six channels in, `out_channels` out, of the same size."""
        height, width = x.shape[-2:]
        depth = self.config.depth
        if self.config.padding == "valid":
            x = mirror(x, *valid_margins(height, depth), *valid_margins(width, depth))
        else:
            x = mirror(x, 0, -height % (1 << depth), 0, -width % (1 << depth))
        skips = []
        for block in self.down[:-1]:
            x = block(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for up, join in zip(self.up, self.join, strict=True):
            x = up(x)
            x = join(torch.cat([_centre(skips.pop(), x), x], 1))
        return self.head(x)[..., :height, :width]  # type: ignore[no-any-return]


class Odd(nn.Module):
    """Commutative by construction: swapping the frames negates the odd stream and leaves the even one.

    One encoder serves both frames. At each level the decoder gets the difference of their features (odd)
    and their sum (even). The odd stream has no bias anywhere, so that its sign is all that a swap changes,
    and rounding is symmetric about 0: bit for bit.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        widths = [config.width << level for level in range(config.depth + 1)]
        self.down = nn.ModuleList(_convs(n_in, n_out, 1) for n_in, n_out in pairwise([3, *widths]))
        upward = list(pairwise(reversed(widths)))
        self.up_odd = nn.ModuleList(_up(*step, config.upsampling, bias=False) for step in upward)
        self.up_even = nn.ModuleList(_up(*step, config.upsampling) for step in upward)
        last = config.depth - 1 if config.task == "seg" else config.depth  # whose even stream nobody reads
        self.blocks = nn.ModuleList(
            OddEven(n_out, even=level != last) for level, (_, n_out) in enumerate(upward)
        )
        self.head = nn.Conv2d(config.width, 1, 1, bias=False)
        self.residual = nn.Conv2d(config.width, 3, 1) if config.task == "reg" else None

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """See `Hourglass.forward`."""
        height, width = a.shape[-2:]
        levels = list(zip(self.encode(a), self.encode(b), strict=True))
        difference, total = _odd_even(*levels.pop())
        for up_odd, up_even, block in zip(self.up_odd, self.up_even, self.blocks, strict=True):
            skip_difference, skip_total = _odd_even(*levels.pop())
            difference, total = block(up_odd(difference) + skip_difference, up_even(total) + skip_total)
        logit = self.head(difference)[..., :height, :width].float()
        if self.residual is None:
            return logit  # type: ignore[no-any-return]
        share = torch.tanh(logit.abs() / 2).copysign(logit)
        return (a + b) / 2 + share * ((a - b) / 2) + self.residual(total)[..., :height, :width].float()  # type: ignore[no-any-return]

    def encode(self, frame: Tensor) -> list[Tensor]:
        """A frame's features at every level, finest first."""
        height, width = frame.shape[-2:]
        stride = self.config.stride
        x = mirror(frame.to(self.head.weight.dtype), 0, -height % stride, 0, -width % stride)
        features = [self.down[0](x)]
        for block in self.down[1:]:
            features.append(block(F.max_pool2d(features[-1], 2)))
        return features


class OddEven(nn.Module):
    """One step of both streams: o' = conv(o) * 2 sigmoid(conv(e)), e' = relu(conv(e) + conv1x1|o|).

    Without `even` the even stream ends here: e' is e.
    """

    def __init__(self, width: int, even: bool = True) -> None:
        super().__init__()
        self.odd = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.gate = nn.Conv2d(width, width, 3, padding=1)
        self.even = nn.Conv2d(width, width, 3, padding=1) if even else None
        self.cross = nn.Conv2d(width, width, 1, bias=False) if even else None

    def forward(self, odd: Tensor, even: Tensor) -> tuple[Tensor, Tensor]:
        """Odd and even stream, N x width x H x W each."""
        gate = 2 * torch.sigmoid(self.gate(even))
        turned = self.odd(odd) * gate
        if self.even is None or self.cross is None:
            return turned, even
        return turned, F.relu(self.even(even) + self.cross(odd.abs()))


def mirror(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Extend N x C x H x W by mirroring at its border pixels, even by more than its own size."""
    if top or bottom:
        x = x.index_select(2, _mirrored(x.shape[2], top, bottom, x.device))
    if left or right:
        x = x.index_select(3, _mirrored(x.shape[3], left, right, x.device))
    return x


def valid_margins(length: int, depth: int) -> tuple[int, int]:
    """Pixels to add before and after a length, so that valid convolutions return at least that length.

    >>> valid_margins(388, 4)  # the U-Net paper's own 572
    (92, 92)
    """
    before, size = 2, length
    for _ in range(depth):
        size = -(-(size + 4) // 2)
    size += 4
    for _ in range(depth):
        before, size = 2 * before + 4, 2 * size + 4
    return before, size - before - length


def _mirrored(length: int, before: int, after: int, device: torch.device) -> Tensor:
    places = torch.arange(-before, length + after, device=device)
    period = max(2 * (length - 1), 1)
    places = places % period
    return torch.where(places < length, places, period - places)


def _convs(n_in: int, n_out: int, padding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=padding),
        nn.ReLU(inplace=True),
        nn.Conv2d(n_out, n_out, 3, padding=padding),
        nn.ReLU(inplace=True),
    )


def _up(n_in: int, n_out: int, upsampling: Upsampling, bias: bool = True) -> nn.Module:
    if upsampling == "transposed":
        return nn.ConvTranspose2d(n_in, n_out, 2, stride=2, bias=bias)
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 1, bias=bias),
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
    )


def _centre(skip: Tensor, like: Tensor) -> Tensor:
    """The part of a skip that an up-sampled tensor covers; all of it with `same` padding."""
    height, width = like.shape[-2:]
    top, left = (skip.shape[-2] - height) // 2, (skip.shape[-1] - width) // 2
    return skip[..., top : top + height, left : left + width]


def _odd_even(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    return a - b, a + b


def _reach(depth: int, joins: int, bilinear: bool) -> int:
    """Follow the interval of what one output pixel depends on back through the network, for each phase."""
    reach = 0
    for place in range(1 << depth):
        low = high = place
        for _ in range(depth):
            low, high = (low - joins - bilinear) // 2, (high + joins + bilinear) // 2
        low, high = low - 2, high + 2
        for _ in range(depth):
            low, high = 2 * low - 2, 2 * high + 3
        reach = max(reach, place - low, high - place)
    return reach


def _choices(values: Sequence[object]) -> str:
    if isinstance(values, range):
        return f"from {values[0]} to {values[-1]}"
    return " or ".join(map(repr, values))
