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
from zoo.training.crops import Crop, choose_window, draws, rendered, with_noise
from zoo.training.data import batch_of
from zoo.training.losses import REGRESSION, cross_entropy
from zoo.training.scenes import as_trained, pair_of, without_noise

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


def validation_crops(sources: Sequence[Source], options: TrainOptions) -> dict[str, list[Crop]]:
    """The held-out pairs, by kind: `clean`, and `captured` if training sees frames with noise.

    Raises:
        TrainingError: If no image is held out.
    """
    scenes = [(source, scene) for source in sources for scene in islice(source.validation(), 4 * SAMPLES)]
    if not scenes:
        raise TrainingError("no image is held out for validation", "give --validation SOURCE, or more data")
    chosen = [scenes[place * len(scenes) // SAMPLES] for place in range(min(SAMPLES, len(scenes)))]
    crops = {"clean": [_crop(scene, options, clean=True) for _, scene in chosen]}
    if options.capture or options.noise[1] > 0 or any(source.captured for source in sources):
        crops["captured"] = [
            _captured(scene, number, options, source.captured)
            for number, (source, scene) in enumerate(chosen)
        ]
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
    a, b, gt = (part.to(device) / 255 for part in (batch.frames[:, 0], batch.frames[:, 1], batch.gt))
    target = batch.target.to(device)
    forth, back = model(a, b), model(b, a)
    if options.model.task == "seg":
        loss = cross_entropy(target, forth)
        logit = (forth - back) / 2
        either, one, other = (_weighted(each, a, b) for each in (logit, forth, -back))
        decision = (logit[:, 0] < 0).byte()
    else:
        loss = REGRESSION[options.loss](gt, forth)
        either, one, other = (each.clamp(0, 1) for each in ((forth + back) / 2, forth, back))
        decision = ((either - a).square().sum(1) > (either - b).square().sum(1)).byte()
    picture = _picture(either)
    scores = ValidationScores(
        loss=loss.item(),
        psnr=min(psnr(crop.gt, picture), _BEST),
        ssim=ssim(gray(crop.gt), gray(picture)),
        accuracy=(decision == target).float().mean().item(),
        commutativity=(one - other).square().mean().item(),
    )
    return scores, _row(crop, picture, decision[0].cpu().numpy())


def _weighted(logit: Tensor, a: Tensor, b: Tensor) -> Tensor:
    weight = torch.sigmoid(logit)
    return weight * a + (1 - weight) * b


def _picture(values: Tensor) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = (values[0] * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    return picture


def _row(crop: Crop, picture: Picture, decision: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Side by side: both frames, the fused picture, its error eightfold, the decision and the target."""
    error = np.abs(picture.astype(np.int16) - crop.gt).clip(0, 31).astype(np.uint8) * 8
    maps = [np.repeat((255 * each)[..., None], 3, 2) for each in (decision, crop.target)]
    return np.hstack([*crop.frames, picture, error, *maps])


def _crop(scene: Scene, options: TrainOptions, *, clean: bool) -> Crop:
    """A scene's crop as training renders it; if `clean`, without any noise."""
    rng = draws("validation", scene.key)
    scene = as_trained(pair_of(scene, rng), options)
    window = choose_window(scene.focus(), SIDE, rng)
    if clean:
        scene = replace(scene, recipe=without_noise(scene.recipe))
    return rendered(scene, window, SIDE, options.target)


def _captured(scene: Scene, number: int, options: TrainOptions, captured: bool) -> Crop:
    """A scene's crop with all the noise that training sees."""
    crop = _crop(scene, options, clean=False)
    return with_noise(crop, options, captured, draws("validation capture", number))
