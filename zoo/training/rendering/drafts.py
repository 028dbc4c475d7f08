"""Crops that are not rendered yet: workers make them, with all draws; the training process develops them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mfsynth.sample import Window
from zoo.networks.layers import mirror
from zoo.training.crops import drawn
from zoo.training.rendering.jpeg import compressed
from zoo.training.rendering.plates import Grain, plate_of, words_of
from zoo.training.rendering.render import render
from zoo.training.rendering.stages import grained

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np

    from mfsynth.sample import Scene
    from zoo.training.changes import Changes, Levels
    from zoo.training.options import Target, TrainOptions
    from zoo.training.rendering.plates import Plate
    from zoo.training.rendering.render import Rendered


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A crop that is not rendered yet.

    Attributes:
        plate: Of its window.
        side: Of the crop, in pixels; smaller windows are extended by mirroring.
        target: Which target it has.
        changes: Its augmentation.
        grains: The noise of that.
    """

    plate: Plate
    side: int
    target: Target
    changes: Changes
    grains: tuple[Grain, ...]


def make_draft(
    scene: Scene, options: TrainOptions, rng: np.random.Generator, captured: bool = False
) -> Draft:
    """What `zoo.training.crops.make_crop` makes of the same arguments, with the same draws, before rendering.

    Raises:
        TrainingError: If the scene has no pair of frames.
    """
    scene, window, changes = drawn(scene, options, rng, captured)
    side = options.crop
    whole = Window(0, 0, side, side)
    grains = tuple(
        Grain(words_of(noise.keys, side, whole), (noise.sigma,) * len(noise.keys))
        for noise in changes.capture.noises
        if noise.sigma
    )
    return Draft(plate_of(scene, window), side, options.target, changes, grains)


@torch.no_grad()
def developed(drafts: Sequence[Draft], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Crops of one size, as uint8 tensors of a device.

    Returns:
        The frames of all crops, one crop after the other: F x 3 x S x S; targets: P x S x S; ground truths:
        P x 3 x S x S.
    """
    rendered = render([draft.plate for draft in drafts], device)
    crops = [_changed(draft, each) for draft, each in zip(drafts, rendered, strict=True)]
    frames = _coded(drafts, [frames for frames, *_ in crops])
    return (
        torch.cat(frames),
        torch.stack([target for _, target, _ in crops]),
        torch.stack([gt for *_, gt in crops]),
    )


def _changed(draft: Draft, rendered: Rendered) -> tuple[Tensor, Tensor, Tensor]:
    """Frames, target and ground truth of a crop after all of its augmentation but the JPEG."""
    changes = draft.changes
    target = rendered.nearest if draft.target == "nearest" else rendered.focus
    frames, target, gt = (
        _turned(_extended(each, draft.side), changes)
        for each in (rendered.frames, target[None, None], rendered.gt[None])
    )
    if changes.exposure is not None:
        frames, gt = _leveled(frames, changes.exposure), _leveled(gt, changes.exposure)
    if changes.unlike:
        frames = torch.stack([
            _leveled(frame, levels) for frame, levels in zip(frames, changes.unlike, strict=True)
        ])  # fmt: skip
    for grain in draft.grains:
        frames = grained(frames, grain)
    return frames, target[0, 0], gt[0]


def _extended(pictures: Tensor, side: int) -> Tensor:
    height, width = pictures.shape[2:]
    return mirror(pictures, 0, side - height, 0, side - width)


def _turned(pictures: Tensor, changes: Changes) -> Tensor:
    turned = torch.rot90(pictures, changes.turns, (2, 3))
    return turned.flip(3) if changes.flips else turned


def _leveled(pictures: Tensor, levels: Levels) -> Tensor:
    """Pictures, ... x 3 x H x W, with other levels: of all channels, or of each."""
    table = torch.from_numpy(levels).to(pictures.device)
    if table.ndim == 1:
        return table[pictures.long()]
    return torch.stack([
        own[channel.long()] for channel, own in zip(pictures.unbind(-3), table.unbind(1), strict=True)
    ], -3)  # fmt: skip


def _coded(drafts: Sequence[Draft], frames: Sequence[Tensor]) -> list[Tensor]:
    """The frames of each crop after the JPEG of its augmentation, if it has one."""
    cameras = [draft.changes.capture for draft in drafts]
    chosen = [
        (frame, camera)
        for own, camera in zip(frames, cameras, strict=True)
        if camera.quality
        for frame in own
    ]
    made: Iterator[Tensor] = iter(
        compressed(
            [frame for frame, _ in chosen],
            [camera.quality for _, camera in chosen],
            [(camera.grid_x, camera.grid_y) for _, camera in chosen],
        )
    )
    return [
        torch.stack([next(made) for _ in own]) if camera.quality else own
        for own, camera in zip(frames, cameras, strict=True)
    ]
