import json

import pytest
import torch

import zoo
from zoo.errors import ConfigError, ZooError
from zoo.folder import save_folder
from zoo.hourglass import Config, Hourglass


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_folder(tmp_path, Hourglass(Config(task="seg", width=4, depth=2)))
    return tmp_path


def test_network_comes_back_as_it_was(folder):
    torch.manual_seed(0)
    model = Hourglass(Config(task="seg", width=4, depth=2))
    loaded = zoo.load(folder)
    assert loaded.config == model.config
    assert not loaded.training
    for name, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert next(zoo.load(folder, dtype=torch.bfloat16).parameters()).dtype == torch.bfloat16


def test_config_says_how_frames_are_prepared_and_nothing_of_the_training(folder):
    config = json.loads((folder / "config.json").read_text())
    assert config["preprocessing"] == {"channels": "RGB", "range": [0.0, 1.0]}
    assert set(config) == {
        "format", "preprocessing", "task", "architecture", "width", "depth", "out_channels", "padding",
        "upsampling", "residual",
    }  # fmt: skip


def test_missing_file_is_named(folder):
    (folder / "model.safetensors").unlink()
    with pytest.raises(ZooError, match=r"model\.safetensors cannot be read"):
        zoo.load(folder)


def test_truncated_weights_are_named(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ZooError, match=r"model\.safetensors is damaged"):
        zoo.load(folder)


def test_weights_of_another_network_are_refused(folder):
    config = json.loads((folder / "config.json").read_text()) | {"width": 8}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ZooError, match="not those of the network"):
        zoo.load(folder)


def test_config_of_a_newer_release_is_refused_by_name(folder):
    config = json.loads((folder / "config.json").read_text()) | {"format": 9}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"config\.json.*format 9"):
        zoo.load(folder)


def test_unknown_name_is_told():
    with pytest.raises(ZooError, match="no-such-network"):
        zoo.load("no-such-network")
