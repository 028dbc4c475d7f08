"""Presets: what each kind of network is trained with."""

from pathlib import Path

import pytest

from zoo.errors import ConfigError
from zoo.networks import Network
from zoo.training.options import KINDS
from zoo.training.presets import PRESETS, preset
from zoo.training.request import TrainRequest


def test_every_kind_has_presets_and_the_first_is_the_default():
    assert set(PRESETS) == set(KINDS)
    for kind, names in PRESETS.items():
        assert preset(kind) == preset(kind, names[0])
        assert f"--preset {names[0]} " in TrainRequest(kind).command()


@pytest.mark.parametrize(
    ("kind", "name", "known"), [("focus-set", "paper", "base or small"), ("hf-reg", "small", "fast or paper")]
)
def test_a_preset_of_another_kind_is_refused_with_those_of_this_kind(kind, name, known):
    with pytest.raises(ConfigError, match=f"{kind} has no preset '{name}'.*{known}"):
        preset(kind, name)


@pytest.mark.parametrize(("name", "width", "weights"), [("base", 16, 243_904), ("small", 8, 61_728)])
def test_networks_for_sets_come_in_two_sizes(name, width, weights):
    options = preset("focus-set", name)
    assert (options.model.architecture, options.model.width, options.model.depth) == ("focus-set", width, 3)
    assert (options.frames, options.pairs, options.ema) == ((2, 6), 16, 0.999)
    assert Network(options.model).parameters_count == weights


def test_what_decides_learns_not_to_depend_on_exposure():
    for kind in ("focus-set", "hf-seg"):
        assert (preset(kind).unequal, preset(kind).unbalanced) == (1.2, 0.15)
    assert preset("hf-seg", "paper").unequal == preset("hf-reg").unequal == 0


def test_a_command_names_a_start_without_the_folders_of_this_machine(tmp_path):
    settings = (f"start={tmp_path / 'set'}", "lr=1e-3")
    command = TrainRequest("focus-set", settings=settings).command()
    assert "--set start=set --set lr=1e-3" in command
    assert "--set start=ann/net" in TrainRequest("hf-seg", settings=("start=ann/net",)).command()


@pytest.mark.parametrize("start", ["nets/first", "./nets/first", "nets/first/", "hf-seg@v1", "ann/net@main"])
def test_a_start_is_called_the_same_whether_its_folder_is_there_or_not(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = TrainRequest("hf-seg", settings=(f"start={start}",))
    told = before.command(), before.options().to_json()
    Path(start).mkdir(parents=True)
    assert (before.command(), before.options().to_json()) == told
