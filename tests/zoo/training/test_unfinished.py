"""A training that has not ended: its network, and how to go on with it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import zoo
from tests.zoo.training.conftest import TINY, run
from zoo.errors import TrainingError
from zoo.training.loop import train
from zoo.training.presets import preset
from zoo.training.unfinished import history, snapshot

SETS = TINY | {
    "model.width": "3", "model.depth": "1", "ema": "0.5", "frames": "2,3", "validate_every": "4",
    "checkpoint_every": "4", "steps": "4",
}  # fmt: skip


def begun(out, **settings):
    """A training killed between its steps 4 and 6."""

    def progress(done, _total, _loss):
        if done == 6:
            raise KeyboardInterrupt

    options = preset("focus-set").override(SETS | {"steps": "6"} | settings)
    with pytest.raises(KeyboardInterrupt):
        train(options, run(out, command="mfsynth train", progress=progress))
    return options


def test_a_snapshot_is_the_averaged_network_of_the_last_checkpoint(tmp_path):
    options = begun(tmp_path / "run")
    assert snapshot(tmp_path / "run", tmp_path / "net") == 4
    model = zoo.load(tmp_path / "net")
    averaged = load_file(tmp_path / "run" / "checkpoints" / "step-00000004" / "ema.safetensors")
    assert all(torch.equal(value, averaged[name]) for name, value in model.state_dict().items())
    training = json.loads((tmp_path / "net" / "training.json").read_text())
    assert (training["steps"], training["command"]) == (4, "mfsynth train")
    assert training["options"] == options.to_json()
    assert set(training["validation"]) == {"clean", "captured", "stacks"}
    assert zoo.info(tmp_path / "net").training["steps"] == 4


def test_a_resume_with_other_settings_names_them_and_with_the_same_ones_ends(tmp_path):
    options = begun(tmp_path / "run")
    other = options.override({"unequal": "0", "frames": "2,4", "model.width": "6"})
    again = run(tmp_path / "run", resume=True)
    with pytest.raises(
        TrainingError, match=r"use the same ones: frames=2,3, unequal=1.2, model.width=3"
    ) as told:
        train(other, again)
    assert "lr=" not in str(told.value)
    train(options, again)
    assert snapshot(tmp_path / "run", tmp_path / "net") == 6
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_history_is_that_of_the_start_whatever_the_name_stands_for_later(tmp_path):
    begun(tmp_path / "first")
    snapshot(tmp_path / "first", tmp_path / "net")
    options = begun(tmp_path / "run", start=str(tmp_path / "net"))
    kept = history(tmp_path / "run")
    assert kept["steps"] == 4
    begun(tmp_path / "other", seed="1")
    snapshot(tmp_path / "other", tmp_path / "net")
    train(options, run(tmp_path / "run", resume=True))
    assert json.loads((tmp_path / "run" / "training.json").read_text())["begun"] == kept


def test_a_training_goes_on_when_what_it_started_from_is_gone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    begun(Path("first"))
    snapshot(Path("first"), Path("nets/first"))
    options = begun(Path("run"), start="nets/first")
    shutil.rmtree("nets")
    report = train(options, run(Path("run"), resume=True))
    assert (report.steps, report.stopped) == (6, False)


def test_nothing_to_take_a_snapshot_of_is_said(tmp_path):
    with pytest.raises(TrainingError, match="there is no checkpoint in"):
        snapshot(tmp_path, tmp_path / "net")
