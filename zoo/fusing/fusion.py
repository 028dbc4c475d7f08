"""From frames to one sharp picture: rules, bursts, tiles.

Everything works on the frames' own values: HF-Seg's `select` and HF-Reg's `nearest` copy pixels of the
frames, and the other rules compute in float32 and round once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from mfsynth.errors import OptionsError
from zoo.errors import FrameError, ZooError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from zoo.networks.architecture import Task

Rule = Literal["weighted", "select", "direct", "nearest"]
Burst = Literal["joint", "fold"]

RULES: dict[Task, tuple[Rule, ...]] = {"seg": ("weighted", "select"), "reg": ("direct", "nearest")}
"""The rules of a network, its default first."""

MIN_SIDE = 16
"""Shortest side of a frame, in pixels."""

_SCALES = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0, np.dtype(np.float32): 1.0}
_TILE_VALUES = 36 << 20
"""Largest number of values at a tile's full resolution: a pass then needs about 1 GB beyond the pictures."""


class NetworkConfig(Protocol):
    """What fusion needs to know about a network."""

    @property
    def task(self) -> Task:
        """`seg` (which frame is sharp) or `reg` (the picture itself)."""

    @property
    def width(self) -> int:
        """Channels at full resolution; memory grows with them."""

    @property
    def stride(self) -> int:
        """Pixels by which a picture can be shifted without changing the result otherwise."""

    @property
    def reach(self) -> int:
        """How far away, in pixels, an input value can be and still change an output value."""


class FusionNetwork(Protocol):
    """A network that fusion can run: `zoo.networks.Network`, or anything that behaves like it."""

    @property
    def config(self) -> NetworkConfig:
        """Its properties."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    def __call__(self, a: Tensor, b: Tensor, /) -> Tensor:
        """One pass: frames of N x 3 x H x W in [0, 1] to N x 1 x H x W logits or N x 3 x H x W pictures."""

    def symmetric(self, a: Tensor, b: Tensor, /) -> Tensor:
        """Both orders: swapping the frames negates a logit and leaves a picture, bit for bit."""


@dataclass(frozen=True, slots=True, eq=False)
class Fused:
    """A fused picture.

    Attributes:
        image: H x W x 3 or H x W, with the shape and dtype of the frames.
        decision: H x W, uint8: the index of the frame that each pixel came from, or mostly came from. None
            where no frame is chosen: HF-Reg by the rule `direct`.
        confidence: H x W, float16: HF-Seg's probability of that frame; for HF-Reg by the rule `nearest`, how
            much nearer that frame is, from 1/2 (as near as another) to 1. None without a decision.
    """

    image: NDArray[Any]
    decision: NDArray[np.uint8] | None
    confidence: NDArray[np.float16] | None


def fuse(
    model: FusionNetwork,
    frames: Sequence[np.ndarray],
    *,
    rule: Rule | None = None,
    burst: Burst = "joint",
    symmetric: bool = True,
    tile: int | None = None,
) -> Fused:
    """Fuse pictures of one scene that are focused at different distances and aligned to one another.

    The network runs where its weights are, in their dtype.

    Args:
        model: HF-Seg or HF-Reg.
        frames: Two to 255 pictures of equal shape and dtype, H x W x 3 (RGB) or H x W (gray); uint8, uint16,
            or float32 in [0, 1]; sides of at least 16 pixels.
        rule: HF-Seg: `weighted` (Eq. 2, the default) or `select` (each pixel from the likelier frame).
            HF-Reg: `direct` (the default) or `nearest` (Eq. 6, the frame's pixel nearest to the prediction).
        burst: How more than two frames are fused. `joint`: HF-Seg compares every two of them and decides
            by the sums of their logits, HF-Reg folds in an order that the frames' content determines, so
            that any order of the input gives the same picture. `fold`: f(f(x_0, x_1), x_2) and so on, as
            in the paper.
        symmetric: Evaluate both orders of every two frames and antisymmetrize, so that swapping the frames
            gives the same picture, bit for bit. False takes one pass, as in the paper, at half the cost.
        tile: Side, in pixels, of the tiles that larger pictures are cut into; None takes the largest that
            need about 1 GB of memory.

    Raises:
        FrameError: If the frames cannot be fused.
        OptionsError: If the network does not have the rule, or an option is out of range.
        ZooError: If the network's result is not finite, such as for values too large for fp16.
    """
    frames = check_frames(frames)
    rule = _rule(model, rule)
    if burst not in ("joint", "fold"):
        raise OptionsError(f"burst is {burst!r}", "it can be 'joint' or 'fold'")
    fuser = _Fuser(model, rule, symmetric, _tile(model, tile, *frames[0].shape[:2]))
    order = canonical_order(frames) if burst == "joint" and len(frames) > 2 else list(range(len(frames)))
    ordered = [frames[place] for place in order]
    joint = len(frames) == 2 or (burst == "joint" and model.config.task == "seg")
    fused = fuser.joint(ordered) if joint else fuser.fold(ordered)
    if fused.decision is None:
        return fused
    return Fused(fused.image, np.array(order, np.uint8)[fused.decision], fused.confidence)


def check_frames(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The frames, if they can be fused.

    Raises:
        FrameError: If not; it names the frame, the reason and the remedy.
    """
    frames = [np.asarray(frame) for frame in frames]
    if not 2 <= len(frames) <= 255:
        raise FrameError(f"fusion takes from 2 to 255 frames, not {len(frames)}", "give two or more")
    for number, frame in enumerate(frames):
        _check_frame(frame, f"frame {number}")
        if frame.shape != frames[0].shape or frame.dtype != frames[0].dtype:
            raise FrameError(
                f"frame 0 is {_kind(frames[0])}, frame {number} is {_kind(frame)}",
                "frames must have one size and one dtype",
            )
    return frames


def canonical_order(frames: Sequence[np.ndarray]) -> list[int]:
    """An order of the frames that depends only on their content, not on their numbering."""
    digests = [hashlib.sha256(np.ascontiguousarray(frame).data).digest() for frame in frames]
    return sorted(range(len(frames)), key=digests.__getitem__)


def tiles(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of a picture's tiles: squares, cut off at its right and lower border."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))


@dataclass(frozen=True, slots=True)
class _Fuser:
    """The settings of a call."""

    model: FusionNetwork
    rule: Rule
    symmetric: bool
    tile: int

    def fold(self, frames: Sequence[np.ndarray]) -> Fused:
        """Fuse the first two, the result with the third, and so on; intermediate results are float32."""
        dtype = frames[0].dtype
        image = _to_unit(frames[0])
        decision = np.zeros(image.shape[:2], np.uint8)
        confidence = np.ones(image.shape[:2], np.float16)
        for number, frame in enumerate(frames[1:], 1):
            step = self.joint([image, _to_unit(frame)])
            image = step.image.astype(np.float32, copy=False)
            if step.decision is not None and step.confidence is not None:
                taken = step.decision == 1
                decision[taken] = number
                confidence = np.where(taken, step.confidence, confidence * step.confidence)
        chosen = self.rule != "direct"
        return Fused(_from_unit(image, dtype), decision if chosen else None, confidence if chosen else None)

    def joint(self, frames: Sequence[np.ndarray]) -> Fused:
        """Fuse two frames, or with HF-Seg any number at once, tile by tile."""
        height, width = frames[0].shape[:2]
        chosen = self.rule != "direct"
        fused = Fused(
            np.empty_like(frames[0], order="C"),
            np.empty((height, width), np.uint8) if chosen else None,
            np.empty((height, width), np.float16) if chosen else None,
        )
        halo = -(-self.model.config.reach // self.model.config.stride) * self.model.config.stride
        for window in tiles(height, width, self.tile):
            outer = tuple(slice(max(0, part.start - halo), part.stop + halo) for part in window)
            inner = tuple(
                slice(part.start - around.start, part.stop - around.start)
                for part, around in zip(window, outer, strict=True)
            )
            self._fuse_window(frames, fused, window, outer, inner)
        return fused

    @torch.inference_mode()
    def _fuse_window(
        self,
        frames: Sequence[np.ndarray],
        fused: Fused,
        window: tuple[slice, slice],
        outer: tuple[slice, ...],
        inner: tuple[slice, ...],
    ) -> None:
        """Fuse one tile into `fused`; its surroundings are computed, too, and cut off."""
        tensors = [self._tensor(frame[outer]) for frame in frames]
        parts = [frame[window] for frame in frames]
        if self.model.config.task == "seg":
            scores = _finite(self._scores(tensors)[(slice(None), *inner)])
            weights = torch.softmax(scores, 0)
        else:
            picture = _finite(self._pair(*tensors)[0][(slice(None), *inner)]).clamp(0, 1)
            if self.rule == "direct":
                fused.image[window] = _like(picture.cpu(), parts[0])
                return
            scores = -_distances(picture, [tensor[0][(slice(None), *inner)] for tensor in tensors])
            weights = _nearness(scores)
        decision, weights = _winner(scores.cpu(), parts), weights.cpu()
        fused.decision[window] = decision  # type: ignore[index]  # there is one unless the rule is direct
        fused.confidence[window] = np.take_along_axis(weights.numpy(), decision[None], 0)[0]  # type: ignore[index]
        if self.rule == "weighted":
            fused.image[window] = _mix(weights, parts)
        else:
            _select(decision, parts, fused.image[window])

    def _tensor(self, frame: np.ndarray) -> Tensor:
        """A frame as 1 x 3 x H x W float32 in [0, 1], where the network is."""
        device = self.model.device
        values = _to_unit(frame)
        tensor = torch.from_numpy(values if values.flags.writeable else values.copy()).to(device)
        return (tensor.permute(2, 0, 1) if tensor.ndim == 3 else tensor.expand(3, *tensor.shape))[None]

    def _pair(self, a: Tensor, b: Tensor) -> Tensor:
        return self.model.symmetric(a, b) if self.symmetric else self.model(a, b)

    def _scores(self, tensors: Sequence[Tensor]) -> Tensor:
        """Each frame's mean logit against all frames, n x H x W: their softmax is Eq. 2's z for two."""
        scores = [torch.zeros_like(tensors[0][0, 0]) for _ in tensors]
        for first in range(len(tensors)):
            for second in range(first + 1, len(tensors)):
                logit = self._pair(tensors[first], tensors[second])[0, 0]
                scores[first] = scores[first] + logit
                scores[second] = scores[second] - logit
        return torch.stack(scores) / len(scores)


def _finite(values: Tensor) -> Tensor:
    if not values.isfinite().all():
        raise ZooError("the network's result is not finite", "compute in fp32 or bf16, or check its weights")
    return values


def _distances(picture: Tensor, frames: Sequence[Tensor]) -> Tensor:
    """Squared distance of each frame from the picture, n x H x W."""
    return torch.stack([(picture - frame).square().sum(0) for frame in frames])


def _nearness(scores: Tensor) -> Tensor:
    """From two frames' negated distances, 2 x H x W: the other's share of their sum, 1/2 where both are 0."""
    total = scores.sum(0)
    half = torch.full_like(total, 0.5)
    return torch.stack([torch.where(total < 0, part / total, half) for part in (scores[1], scores[0])])


def _winner(scores: Tensor, frames: Sequence[np.ndarray]) -> NDArray[np.uint8]:
    """The frame with the largest score; of equals, the one with the larger RGB value there."""
    best = scores == scores.amax(0)
    decision: NDArray[np.uint8] = best.to(torch.uint8).argmax(0).numpy().astype(np.uint8)
    rows, columns = (best.sum(0) > 1).numpy().nonzero()
    if len(rows):
        tied = best.numpy()[:, rows, columns]
        pixels = np.stack([frame[rows, columns].reshape(len(rows), -1) for frame in frames])
        for channel in range(pixels.shape[2]):
            values = np.where(tied, pixels[..., channel].astype(np.float64), -1.0)
            tied &= values == values.max(0)
        decision[rows, columns] = tied.argmax(0)
    return decision


def _mix(weights: Tensor, frames: Sequence[np.ndarray]) -> np.ndarray:
    """Eq. 2: the weighted mean of the frames, rounded to their dtype."""
    total = torch.zeros(())
    for weight, frame in zip(weights, frames, strict=True):
        values = torch.from_numpy(np.array(frame, np.float32))
        total = total + (weight if values.ndim == 2 else weight[..., None]) * values
    return _rounded(total.numpy(), frames[0].dtype)


def _select(decision: NDArray[np.uint8], frames: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Write each pixel of the frame that the decision names into `out`."""
    out[...] = frames[0]
    for number, frame in enumerate(frames[1:], 1):
        taken = decision == number
        np.copyto(out, frame, where=taken if out.ndim == 2 else taken[..., None])


def _like(picture: Tensor, frame: np.ndarray) -> np.ndarray:
    """A picture, 3 x H x W in [0, 1], with the layout and dtype of a frame; gray is the channels' mean."""
    values = (picture.mean(0) if frame.ndim == 2 else picture.permute(1, 2, 0)).numpy()
    return _from_unit(values, frame.dtype)


def _to_unit(frame: np.ndarray) -> NDArray[np.float32]:
    values = np.ascontiguousarray(frame, np.float32)
    scale = _SCALES[frame.dtype]
    return values if scale == 1 else values / np.float32(scale)


def _from_unit(values: NDArray[np.float32], dtype: np.dtype) -> np.ndarray:
    return _rounded(values * np.float32(_SCALES[dtype]), dtype)


def _rounded(values: NDArray[np.float32], dtype: np.dtype) -> np.ndarray:
    if dtype == np.float32:
        return values.clip(0, 1)  # rounding can lift a mean of ones above 1
    return np.rint(values).clip(0, _SCALES[dtype]).astype(dtype)


def _rule(model: FusionNetwork, rule: Rule | None) -> Rule:
    rules = RULES[model.config.task]
    if rule is not None and rule not in rules:
        raise OptionsError(f"this network has no rule {rule!r}", f"it has {' and '.join(rules)}")
    return rule or rules[0]


def _tile(model: FusionNetwork, tile: int | None, height: int, width: int) -> int:
    """The side of the tiles: a multiple of the stride, so that every tile is halved at the same pixels."""
    stride = model.config.stride
    if tile is None:
        area = _TILE_VALUES // model.config.width
        if height * width <= area:
            return -(-max(height, width) // stride) * stride
        tile = max(int(area**0.5) - 2 * model.config.reach, stride)
    if tile < stride:
        raise OptionsError(f"tile is {tile}", f"it must be {stride} or more for this network")
    return tile // stride * stride


def _check_frame(frame: np.ndarray, name: str) -> None:
    if frame.dtype not in _SCALES:
        raise FrameError(f"{name} is {frame.dtype}", "give uint8, uint16, or float32 in [0, 1]")
    if frame.ndim == 3 and frame.shape[2] in (2, 4):
        raise FrameError(f"{name} has an alpha channel", "flatten it onto a background, or drop the channel")
    if frame.ndim != 2 and not (frame.ndim == 3 and frame.shape[2] == 3):
        raise FrameError(f"{name} has shape {frame.shape}", "give height x width x 3 (RGB) or height x width")
    if min(frame.shape[:2]) < MIN_SIDE:
        raise FrameError(
            f"{name} is {frame.shape[0]} x {frame.shape[1]}", f"each side needs at least {MIN_SIDE} pixels"
        )
    if frame.dtype == np.float32:
        low, high = frame.min(), frame.max()
        if not (low >= 0 and high <= 1):  # also catches NaN
            raise FrameError(f"{name} has values from {low} to {high}", "floats must lie in [0, 1]")


def _kind(frame: np.ndarray) -> str:
    return f"{' x '.join(map(str, frame.shape))} {frame.dtype}"
