"""Plates become frames and targets, on any device.

Frames differ from those of `mfsynth.render` by at most one gray level, and `nearest` and `certain` where that
moves an error over a threshold. The stages are the same; blurs, powers and sums round differently. The scenes
of a batch are rendered one by one, their JPEGs together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mfsynth.sample import Window
from zoo.training.rendering.jpeg import compressed
from zoo.training.rendering.lens import clean_frames, on
from zoo.training.rendering.plates import plate_of
from zoo.training.rendering.stages import picture_of, taken
from zoo.training.rendering.targets import targets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mfsynth.sample import Scene
    from zoo.training.rendering.plates import Plate


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A rendered window, as uint8 tensors of a device.

    Attributes:
        frames: F x 3 x H x W.
        focus: H x W: the index of the sharpest frame.
        gt: 3 x H x W: the ground truth.
        nearest: H x W: the index of the frame nearest to it.
        certain: H x W: 255 where some frame shows it.
    """

    frames: Tensor
    focus: Tensor
    gt: Tensor
    nearest: Tensor
    certain: Tensor


def render_scenes(
    scenes: Sequence[Scene], device: torch.device | str, windows: Sequence[Window] | None = None
) -> list[Rendered]:
    """Render some scenes, as readers give them before rendering.

    Args:
        scenes: Of any sizes and recipes.
        device: Where to render.
        windows: Which part of each; None for all of each.

    Raises:
        OptionsError: If a window does not lie inside its picture.
    """
    chosen = [Window(0, 0, *scene.size) for scene in scenes] if windows is None else windows
    plates = [
        plate_of(scene, window.check(*scene.size)) for scene, window in zip(scenes, chosen, strict=True)
    ]
    return render(plates, torch.device(device))


@torch.no_grad()
def render(plates: Sequence[Plate], device: torch.device) -> list[Rendered]:
    """Render some plates."""
    made = [_judged(plate, device) for plate in plates]
    frames = coded([taken for taken, _ in made], plates)
    return [Rendered(pictures, *maps) for pictures, (_, maps) in zip(frames, made, strict=True)]


def _judged(plate: Plate, device: torch.device) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The frames of a plate as they are taken, in `plate.made`; focus, truth, `nearest` and `certain`."""
    clean = clean_frames(plate, device)
    shown = picture_of(clean, plate.light)
    gt, focus = on(plate.truth, device), torch.from_numpy(plate.focus).to(device)
    nearest, certain = focus, torch.full_like(focus, 255)
    if plate.judged:
        valid = None if plate.valid is None else torch.from_numpy(plate.valid).to(device)
        around = (..., *plate.around.within(plate.clean).slices)
        nearest, certain = targets(shown[around], gt, focus, valid)
    cut = (..., *plate.window.within(plate.around).slices)
    return taken(plate, clean, shown), (focus[cut], gt[cut], nearest[cut], certain[cut])


def coded(taken: Sequence[Tensor], plates: Sequence[Plate]) -> list[Tensor]:
    """The frames of each plate after their JPEGs: F x 3 x h x w, inside its window."""
    places = [
        (number, frame, coding)
        for number, plate in enumerate(plates)
        for frame, coding in enumerate(plate.codings)
        if coding
    ]
    pictures = iter(compressed(
        [taken[n][frame][(..., *coding.part.within(plates[n].made).slices)] for n, frame, coding in places],
        [coding.quality for *_, coding in places],
        [(coding.left, coding.top) for *_, coding in places],
    ))  # fmt: skip
    return [_finished(own, plate, pictures) for own, plate in zip(taken, plates, strict=True)]


def _finished(taken: Tensor, plate: Plate, pictures: Iterator[Tensor]) -> Tensor:
    cut = (..., *plate.window.within(plate.made).slices)
    return torch.stack([
        frame[cut] if coding is None else next(pictures)[(..., *plate.window.within(coding.part).slices)]
        for frame, coding in zip(taken, plate.codings, strict=True)
    ])  # fmt: skip
