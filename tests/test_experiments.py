"""scripts/experiments.py: what it would train can be built, and its table says what was scored."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType

import click
import pytest
import torch

from zoo.errors import ConfigError, TrainingError
from zoo.networks import Network
from zoo.training.losses import DECISION, Decided
from zoo.training.options import TrainOptions
from zoo.training.presets import preset
from zoo.training.run import TrainReport, TrainRun

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import experiments

    return experiments


def test_every_experiment_builds_a_network_that_scores_sets(script: ModuleType) -> None:
    """As `focus-set` does: equal frames score equally, and the loss reaches every weight."""
    torch.manual_seed(0)
    frames, target = torch.rand(5, 3, 32, 32), torch.randint(0, 2, (2, 32, 32))
    for name, experiment in script.EXPERIMENTS.items():
        with script.architecture(experiment.build):
            options = preset("hf-seg", "fast").override(script.BASE | {"steps": "1"} | experiment.settings)
            model = Network(options.model)
            scores = model.set_scores(frames, (2, 3))
            same = model.set_scores(frames[:1].repeat(2, 1, 1, 1), (2,))
            said = Decided(target, model.set_scores(frames, (2, 3)), frames, frames[:2], (2, 3))
            DECISION[options.loss](said).backward()
        assert scores.shape == (5, 1, 32, 32), name
        assert torch.allclose(same, torch.zeros(()), atol=1e-5), name
        assert all(each.grad is not None for each in model.parameters()), name


def test_the_loss_of_an_experiment_is_none_of_other_trainings(script: ModuleType) -> None:
    """Theirs would go back through the experiment's network."""
    with script.architecture(script.EXPERIMENTS["restoring"].build):
        preset("hf-seg").override({"loss": "restoring"})
    with pytest.raises(ConfigError, match="loss is 'restoring'"):
        preset("hf-seg").override({"loss": "restoring"})


def test_a_training_that_was_killed_before_its_first_checkpoint_begins_anew(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what only stops it is no result of an experiment."""
    folder = tmp_path / "9-steps" / "base"
    (folder / script.CHECKPOINTS).mkdir(parents=True)
    (folder / script.CHECKPOINTS / "training.json").touch()
    asked = []

    def train(_options: TrainOptions, run: TrainRun) -> TrainReport:
        asked.append((run.resume, run.overwrite))
        raise TrainingError("the data gave out")

    monkeypatch.setattr(script, "sources", lambda *_: ())
    monkeypatch.setattr(script, "train", train)
    with pytest.raises(TrainingError, match="gave out"):
        script.run("base", tmp_path, tmp_path, 9)
    assert asked == [(False, True)]
    assert not (folder / script.RESULT).exists()


def test_the_table_lists_what_is_done_and_what_failed(script: ModuleType, tmp_path: Path) -> None:
    result = script.Result(**dict.fromkeys(script.Result.__dataclass_fields__, 0.5))
    for name, values in (("base", asdict(result)), ("lr-4e-3", {"failed": "the loss is nan"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / script.RESULT).write_text(json.dumps(values))
    rows = script.rows(tmp_path)
    assert [row.split(" | ")[1] for row in rows] == ["+ stacks of 2 to 6 frames: the base", "4e-3"]
    assert "50.00" in rows[0]
    assert "the loss is nan" in rows[1]
    assert {row.count("|") for row in rows} == {15}


def test_the_page_holds_a_table_between_its_marks(script: ModuleType) -> None:
    page = script.into(script.PAGE.read_text("utf-8"), "| new |")
    assert f"{script.MARKS[0]}\n| new |\n{script.MARKS[1]}" in page
    assert script.into(page, "| new |") == page


def test_names_are_those_of_experiments_or_groups(script: ModuleType) -> None:
    assert script.chosen(("loss", "base")) == ["base", "l1", "stakes"]
    with pytest.raises(click.UsageError, match="no experiment luck; known: base, "):
        script.chosen(("luck",))
