"""How well a network does on held-out pairs during training."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from zoo.errors import TrainingError
from zoo.metrics import gray, psnr, ssim
from zoo.training.changes import draw_capture_of
from zoo.training.crops import Crop, choose_window, draws, rendered, with_capture
from zoo.training.data import batch_of
from zoo.training.losses import DECISION, REGRESSION, Decided, fused, pair_scores
from zoo.training.scenes import as_trained, some_frames, without_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from mfsynth.sample import Picture, Scene
    from zoo.networks import Network
    from zoo.training.options import TrainOptions
    from zoo.training.sources import Source

SAMPLES = 16
"""Number of crops."""
SIDE = 192
"""Side of the crops, in pixels."""
SHOWN = 4
"""Number of crops on a sample sheet."""
_BEST = 100.0
"""PSNR in dB that equal pictures count with in a mean."""


@dataclass(frozen=True, slots=True)
class ValidationScores:
    """Means over the held-out pairs.

    Attributes:
        loss: The loss that is trained, of one pass.
        psnr: Of the fused picture against the truth, in dB; both orders evaluated. Equal pictures count 100.
        ssim: The same, on gray pictures.
        accuracy: Share of the pixels whose frame is the target's; for HF-Reg by the rule `nearest`.
        commutativity: Mean squared difference of the pictures that the two orders give, in [0, 1].
    """

    loss: float
    psnr: float
    ssim: float
    accuracy: float
    commutativity: float


def validation_crops(
    sources: Sequence[Source], options: TrainOptions, samples: int = SAMPLES
) -> dict[str, list[Crop]]:
    """The held-out crops, by kind, `samples` of each if there are as many scenes.

    `clean` and, if training sees frames with noise, `captured` have two frames; `stacks`, if training sees
    more than two, have as many, and all noise.

    Raises:
        TrainingError: If no image is held out.
    """
    scenes = [(source, scene) for source in sources for scene in islice(source.validation(), 4 * samples)]
    if not scenes:
        raise TrainingError("no image is held out for validation", "give --validation SOURCE, or more data")
    count = min(samples, len(scenes))
    chosen = [scenes[place * len(scenes) // count] for place in range(count)]
    crops = {"clean": [_crop(scene, options, clean=True) for _, scene in chosen]}
    if options.capture or options.noise[1] > 0 or any(source.captured for source in sources):
        crops["captured"] = _captured(chosen, options, 2)
    if options.frames[1] > 2:
        crops["stacks"] = _captured(chosen, options, options.frames[1])
    return crops


@torch.no_grad()
def validate(
    model: Network, crops: Sequence[Crop], options: TrainOptions
) -> tuple[ValidationScores, list[NDArray[np.uint8]]]:
    """The scores of a network, and a row of pictures for each of the first crops."""
    model.eval()
    scores, rows = [], []
    for number, crop in enumerate(crops):
        score, row = _validate_one(model, crop, options)
        scores.append([*asdict(score).values()])
        if number < SHOWN:
            rows.append(row)
    model.train()
    return ValidationScores(*(float(value) for value in np.mean(scores, 0))), rows


def _validate_one(
    model: Network, crop: Crop, options: TrainOptions
) -> tuple[ValidationScores, NDArray[np.uint8]]:
    device = next(model.parameters()).device
    batch = batch_of([crop])
    frames, gt, target = batch.frames.to(device) / 255, batch.gt.to(device) / 255, batch.target.to(device)
    judge = _judged_set if options.model.sets else _judged_pair
    judged = judge(model, frames, target, gt, options)
    either, one, other = judged.pictures
    picture = _picture(either)
    scores = ValidationScores(
        loss=judged.loss.item(),
        psnr=min(psnr(crop.gt, picture), _BEST),
        ssim=ssim(gray(crop.gt), gray(picture)),
        accuracy=(judged.decision == target).float().mean().item(),
        commutativity=(one - other).square().mean().item(),
    )
    return scores, _row(crop, picture, judged.decision[0].cpu().numpy())


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """What a network says of a crop; its pictures are of both orders together, of one and of the other."""

    loss: Tensor
    pictures: Sequence[Tensor]
    decision: Tensor


def _judged_pair(
    model: Network, frames: Tensor, target: Tensor, gt: Tensor, options: TrainOptions
) -> _Judged:
    a, b = frames[:1], frames[1:]
    forth, back = model(a, b), model(b, a)
    if options.model.task == "seg":
        return _of_scores([pair_scores(each) for each in (forth, -back)], frames, target, gt, options)
    loss = REGRESSION[options.loss](gt, forth)
    pictures = [each.clamp(0, 1) for each in ((forth + back) / 2, forth, back)]
    nearer_b = (pictures[0] - a).square().sum(1) > (pictures[0] - b).square().sum(1)
    return _Judged(loss, pictures, nearer_b.byte())


def _judged_set(model: Network, frames: Tensor, target: Tensor, gt: Tensor, options: TrainOptions) -> _Judged:
    counts = (len(frames),)
    scores = [model.set_scores(frames, counts), model.set_scores(frames.flip(0), counts).flip(0)]
    return _of_scores(scores, frames, target, gt, options)


def _of_scores(
    scores: Sequence[Tensor], frames: Tensor, target: Tensor, gt: Tensor, options: TrainOptions
) -> _Judged:
    """From the scores of both orders."""
    counts = (len(frames),)
    forth, back = scores
    loss = DECISION[options.loss](Decided(target, forth, frames, gt, counts))
    both = (forth + back) / 2
    pictures = [fused(each, frames, counts) for each in (both, forth, back)]
    return _Judged(loss, pictures, both.argmax(0).byte())


def _picture(values: Tensor) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = (values[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return picture


def _row(crop: Crop, picture: Picture, decision: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Side by side: first and last frame, the fused picture, its error eightfold, decision and target."""
    error = np.abs(picture.astype(np.int16) - crop.gt).clip(0, 31).astype(np.uint8) * 8
    step = 255 // (len(crop.frames) - 1)
    maps = [np.repeat((step * each)[..., None], 3, 2) for each in (decision, crop.target)]
    return np.hstack([crop.frames[0], crop.frames[-1], picture, error, *maps])


def _crop(scene: Scene, options: TrainOptions, *, clean: bool, frames: int = 2) -> Crop:
    """A scene's crop as training renders it; if `clean`, without any noise."""
    rng = draws("validation", scene.key)
    scene = as_trained(some_frames(scene, (frames, frames), rng), options)
    window = choose_window(scene.focus(), SIDE, rng)
    if clean:
        scene = replace(scene, recipe=without_noise(scene.recipe))
    return rendered(scene, window, SIDE, options.target)


def _captured(chosen: Sequence[tuple[Source, Scene]], options: TrainOptions, frames: int) -> list[Crop]:
    """The scenes' crops with all the noise that training sees."""
    return [
        _with_capture(
            _crop(scene, options, clean=False, frames=frames),
            options,
            source.captured,
            number,
        )
        for number, (source, scene) in enumerate(chosen)
    ]


def _with_capture(crop: Crop, options: TrainOptions, captured: bool, number: int) -> Crop:
    rng = draws("validation capture", number)
    return with_capture(crop, draw_capture_of(len(crop.frames), options, captured, rng))
