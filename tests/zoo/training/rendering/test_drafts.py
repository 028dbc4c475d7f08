"""A training that renders on its device has the draws and the crops of one that does not."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

import mfsynth
from tests.zoo.training.conftest import DATA, PLAIN, TINY, command, digest, interrupted_at, run
from tests.zoo.training.rendering.devices import DEVICES
from zoo.training.crops import draws, make_crop
from zoo.training.data import Batches, Drafts, Loader
from zoo.training.loop import train
from zoo.training.presets import preset
from zoo.training.rendering.drafts import developed, make_draft
from zoo.training.sources import SourceSpec

REALISTIC = SourceSpec(f"{DATA.location}:realistic")
TRAININGS = {
    "pairs": preset("hf-seg", "fast").override({"crop": "40", "pairs": "4", "noise": "0,0.05"}),
    "sets": preset("focus-set", "small").override(
        {"crop": "64", "pairs": "3", "windows": "2", "unbalanced": "0.3", "frames": "2,4"}
    ),
    "as taken": preset("hf-reg", "fast").override({"crop": "40", "pairs": "4", "aligned": "false"}),
}
NOWHERE = {"exposure": 0.0, "unequal": 0.0, "unbalanced": 0.0, "capture": False}
"""Without what stretches differences: lighter exposures, and JPEG."""


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", TRAININGS)
def test_both_ways_give_the_same_batches(name: str, device: str) -> None:
    options, specs = TRAININGS[name], [DATA, REALISTIC]
    apart = values = 0
    with (
        Loader(Batches(specs, options), 0) as crops,
        Loader(Batches(specs, options, render="device"), 0, device=torch.device(device)) as drafts,
    ):
        for one, other in islice(zip(crops, drafts, strict=False), 8):
            assert (one.counts, one.worker, one.position) == (other.counts, other.worker, other.position)
            assert other.frames.device.type == device
            assert other.frames.dtype == other.target.dtype == other.gt.dtype == torch.uint8
            assert torch.equal(one.gt, other.gt.cpu())
            assert (one.target != other.target.cpu()).float().mean() <= 1e-3
            away = (one.frames.int() - other.frames.cpu().int()).abs()
            apart, values = apart + int((away > 1).sum()), values + away.numel()
    assert apart <= 0.01 * values


@pytest.mark.parametrize("name", TRAININGS)
def test_what_does_not_stretch_differences_keeps_them_at_a_gray_level(name: str) -> None:
    options = replace(
        TRAININGS[name], **(NOWHERE if name != "as taken" else {"exposure": 0.0, "capture": False})
    )
    for number, scene in enumerate(mfsynth.synthesize(DATA.folder or "", "tiny", frames=2).scenes()):
        crop = make_crop(scene, options, draws("test", number))
        frames, target, gt = developed(
            [make_draft(scene, options, draws("test", number))], torch.device("cpu")
        )
        assert np.abs(frames.permute(0, 2, 3, 1).numpy().astype(int) - crop.frames).max() <= 1
        np.testing.assert_array_equal(target[0], crop.target)
        np.testing.assert_array_equal(gt[0].permute(1, 2, 0), crop.gt)


def test_drafts_survive_the_way_from_a_worker() -> None:
    batches = Batches([REALISTIC], TRAININGS["sets"], render="device")
    batch = next(batches.of(0))
    assert isinstance(batch, Drafts)
    one, other = (each.developed(torch.device("cpu")) for each in (batch, pickle.loads(pickle.dumps(batch))))
    assert torch.equal(one.frames, other.frames)
    assert torch.equal(one.target, other.target)


@pytest.mark.slow
def test_a_training_that_renders_on_its_device_resumes_with_the_same_weights(tmp_path: Path) -> None:
    options = preset("hf-seg", "fast").override(TINY | {"steps": "12", "crop": "16"})
    train(options, run(tmp_path / "whole", REALISTIC, workers=1, render="device"))
    broken = run(tmp_path / "broken", REALISTIC, workers=1, render="device", progress=interrupted_at(10))
    assert train(options, broken).stopped
    train(options, replace(broken, resume=True, progress=run(tmp_path).progress))
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


def losses(out: Path) -> list[float]:
    with (out / "log.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_the_command_learns_the_same_either_way(cli: Callable[..., object], tmp_path: Path) -> None:
    words = command(REALISTIC, tmp_path / "device", "--render", "device", "--workers", "0", steps="10")
    done = cli(*words)
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    assert "--render device" in (tmp_path / "device" / "training.json").read_text()
    train(preset("hf-seg", "fast").override(TINY | {"steps": "10"}), run(tmp_path / "cpu", REALISTIC))
    np.testing.assert_allclose(losses(tmp_path / "device"), losses(tmp_path / "cpu"), rtol=0.01)


def test_plain_crops_are_plain(tmp_path: Path) -> None:
    """Without augmentation, nothing is drawn but frames and windows."""
    scene = next(iter(mfsynth.synthesize(DATA.folder or "", "tiny").scenes()))
    draft = make_draft(scene, PLAIN, draws("test"))
    assert draft.grains == ()
    assert (draft.changes.turns, draft.changes.flips, draft.changes.unlike) == (0, False, ())
