"""Formats that grow: networks and trainings of older releases load, newer ones are refused by name."""

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import zoo
from mfsynth import schema
from zoo.errors import ConfigError, TrainingError, ZooError
from zoo.networks import Config
from zoo.store.results import Results
from zoo.training import checkpoint as checkpoints
from zoo.training.checkpoint import State
from zoo.training.loop import train
from zoo.training.options import TrainOptions
from zoo.training.presets import preset
from zoo.training.run import TrainRun
from zoo.training.sources import SourceSpec

FORMAT_1 = Path(__file__).parents[1] / "formats" / "1"
OPTIONS_1 = preset("hf-seg", "fast").override({
    "model.width": "2", "model.depth": "1", "crop": "32", "pairs": "2", "warmup": "2", "precision": "fp32",
    "channels_last": "false", "validate_every": "1000", "checkpoint_every": "6", "steps": "12",
    "unequal": "0", "unbalanced": "0",
})  # fmt: skip


def resume(out, options=OPTIONS_1):
    data = (SourceSpec(f"coco:{FORMAT_1 / 'coco'}:tiny"), SourceSpec(str(FORMAT_1 / "pairs")))
    return train(options, TrainRun(data, out, workers=0, cpu=True, resume=True))


@pytest.fixture
def network(tmp_path):
    """A copy of the network of format 1."""
    return Path(shutil.copytree(FORMAT_1 / "network", tmp_path / "network"))


@pytest.fixture
def run(tmp_path):
    """A copy of the training of format 1, which was killed between its steps 6 and 12."""
    return Path(shutil.copytree(FORMAT_1 / "run", tmp_path / "run"))


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# --- format 1 -------------------------------------------------------------------------------------------


def test_network_of_format_1_loads_fuses_and_is_described():
    model = zoo.load(FORMAT_1 / "network", device="cpu")
    assert model.config == Config(task="seg", width=2, depth=1)
    frames = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), dtype=np.uint8)
    fused = model.fuse([*frames])
    assert fused.image.shape == frames[0].shape
    assert set(np.unique(fused.decision)) <= {0, 1}
    info = zoo.info(FORMAT_1 / "network")
    assert info.training["steps"] == 12
    assert [result.kind for result in info.results] == ["clean", "captured"]


def test_network_of_format_1_is_written_back_byte_for_byte(tmp_path):
    zoo.load(FORMAT_1 / "network", device="cpu").save_pretrained(tmp_path / "again")
    for name in ("config.json", "training.json", "evaluation.json"):
        assert (tmp_path / "again" / name).read_bytes() == (FORMAT_1 / "network" / name).read_bytes()
    assert (
        Results.from_json((FORMAT_1 / "network" / "evaluation.json").read_bytes()).to_json()
        == (FORMAT_1 / "network" / "evaluation.json").read_bytes()
    )


def test_options_of_format_1_are_those_of_today():
    """A field that a release adds must not be written at its default, or fingerprints would change."""
    told = json.loads((FORMAT_1 / "network" / "training.json").read_text())
    assert OPTIONS_1.to_json() == told["options"]


def test_training_of_format_1_is_resumed_and_ends_whole(run):
    report = resume(run)
    assert (report.steps, report.stopped) == (12, False)
    assert {path.name for path in run.iterdir()} == {
        "config.json", "curve.png", "evaluation.json", "events", "log.csv", "model.safetensors", "samples",
        "training.json", "validation.csv",
    }  # fmt: skip
    weights, expected = (load_file(path / "model.safetensors") for path in (run, FORMAT_1 / "network"))
    assert weights.keys() == expected.keys()
    begun = load_file(FORMAT_1 / "run" / "checkpoints" / "step-00000006" / "model.safetensors")
    reach = 6 * OPTIONS_1.lr  # as far as Adam goes in so many steps; pairs come in another order than then
    for name, value in begun.items():
        assert not torch.equal(weights[name], value)
        torch.testing.assert_close(weights[name], value, atol=reach, rtol=0)


def test_training_of_format_1_is_not_resumed_with_another_option(run):
    with pytest.raises(TrainingError, match="other options or other data"):
        resume(run, replace(OPTIONS_1, seed=1))


# --- fields that are absent or unknown ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["architecture", "padding", "upsampling", "residual"])
def test_config_without_an_optional_field_takes_its_default(network, name):
    values = json.loads((network / "config.json").read_text())
    del values[name]
    (network / "config.json").write_text(json.dumps(values))
    assert zoo.load(network).config == Config(task="seg", width=2, depth=1)


def test_config_with_an_unknown_field_is_refused_by_name_and_release(network):
    change(network / "config.json", focal_length=50)
    with pytest.raises(ConfigError, match=r"config\.json: .*focal_length.*mfsynth 0\.1\.0.*update mfsynth"):
        zoo.load(network)
    (network / "training.json").unlink()
    with pytest.raises(ConfigError, match=r"focal_length.*update mfsynth"):
        zoo.load(network)


def test_checkpoint_with_an_unknown_field_is_refused_by_name(run):
    change(run / "checkpoints" / "step-00000006" / "state.json", momentum=1)
    with pytest.raises(TrainingError, match=r"state\.json.*momentum.*update mfsynth"):
        resume(run)


def test_evaluation_with_an_unknown_field_or_of_another_format_is_refused(network):
    change(network / "evaluation.json", weather="fine")
    with pytest.raises(ZooError, match=r"evaluation\.json.*weather.*update mfsynth"):
        zoo.info(network)
    change(network / "evaluation.json", format=2)
    with pytest.raises(ZooError, match=r"format 2.*update mfsynth"):
        zoo.info(network)


def test_training_document_may_say_more_than_we_read(network):
    """Other programs write training.json, too."""
    before = zoo.info(network)
    change(network / "training.json", weather="fine")
    assert zoo.info(network) == before


# --- fields that a later release adds -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterConfig(Config):
    dilation: int = field(default=1, metadata=schema.since("9.9.0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterOptions(TrainOptions):
    label_smoothing: float = field(default=0.0, metadata=schema.since("9.9.0"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterState(State):
    note: str = field(default="", metadata=schema.since("9.9.0"))


def later(value, kind, **more):
    """The same values in the class of a later release."""
    return kind(**{name: getattr(value, name) for name in value.__dataclass_fields__}, **more)


def test_later_field_is_written_only_where_it_is_not_at_its_default():
    config = Config(task="seg", width=2, depth=1)
    assert later(config, LaterConfig).to_json() == config.to_json()
    assert later(config, LaterConfig, dilation=2).to_json() == config.to_json() | {"dilation": 2}
    assert later(OPTIONS_1, LaterOptions).to_json() == OPTIONS_1.to_json()
    assert later(OPTIONS_1, LaterOptions, label_smoothing=0.1).to_json()["label_smoothing"] == 0.1


def test_later_option_at_its_default_resumes_an_older_training(run):
    assert resume(run, later(OPTIONS_1, LaterOptions)).steps == 12


def test_later_option_that_is_set_does_not(run):
    with pytest.raises(TrainingError, match="other options"):
        resume(run, later(OPTIONS_1, LaterOptions, label_smoothing=0.1))


def test_later_state_reads_an_older_checkpoint():
    state = checkpoints.load(FORMAT_1 / "run" / "checkpoints" / "step-00000006").state
    older = schema.to_json(state)
    assert schema.from_json(older, LaterState, "entries", error=TrainingError).note == ""
    assert schema.to_json(later(state, LaterState)) == older
