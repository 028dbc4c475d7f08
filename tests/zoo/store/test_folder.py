import json
from pathlib import Path

import pytest
import torch

import zoo
from zoo.errors import (
    DamagedError,
    MissingFileError,
    NewerConfigError,
    NotPublishedError,
    UnknownModelError,
    WeightsError,
    ZooError,
)
from zoo.networks import Config, Network
from zoo.store.folder import save_folder


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    save_folder(tmp_path, Network(Config(task="seg", width=4, depth=2)))
    return tmp_path


def test_network_comes_back_as_it_was(folder):
    torch.manual_seed(0)
    model = Network(Config(task="seg", width=4, depth=2))
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
    with pytest.raises(MissingFileError, match=r"model\.safetensors cannot be read"):
        zoo.load(folder)


def test_truncated_weights_are_named(folder):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DamagedError, match=r"model\.safetensors is damaged"):
        zoo.load(folder)


def test_weights_of_another_network_are_refused(folder):
    config = json.loads((folder / "config.json").read_text()) | {"width": 8}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match="not those of the network"):
        zoo.load(folder)


def test_config_of_a_newer_release_is_refused_by_name(folder):
    config = json.loads((folder / "config.json").read_text()) | {"format": 9}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(NewerConfigError, match=r"config\.json.*format 9"):
        zoo.load(folder)


def test_unknown_name_is_told_with_the_nearest():
    with pytest.raises(UnknownModelError, match=r"no network 'hf-segg'.*did you mean hf-seg"):
        zoo.load("hf-segg")


def test_path_that_is_not_there_is_a_folder_that_is_not_there(tmp_path):
    for path in (tmp_path / "none", Path("org/none"), str(tmp_path / "none" / "deeper")):
        with pytest.raises(MissingFileError, match="there is no folder"):
            zoo.load(path)
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingFileError, match="is a file"):
        zoo.load(tmp_path / "file")


def test_short_name_that_is_not_published_has_no_revisions():
    unpublished = [name for name in zoo.names() if zoo.info(name).commit is None]
    for name in unpublished:
        with pytest.raises(NotPublishedError, match="not published"):
            zoo.load(name, revision="main")
        with pytest.raises(NotPublishedError, match="not published"):
            zoo.load(name, origin="hub")


def test_info_tells_the_same_each_time_and_survives_foreign_documents(folder):
    before = zoo.info(folder)
    assert before.parameters == sum(value.numel() for value in zoo.load(folder).parameters())
    for text in (b"nope", b"\xff", b"[]", b'{"data": "imagenet"}', b'{"steps": 3}'):
        (folder / "training.json").write_bytes(text)
        assert zoo.info(folder).to_json() == before.to_json()
    (folder / "evaluation.json").write_bytes(b"nope")
    with pytest.raises(ZooError, match="no evaluation"):
        zoo.info(folder)


def test_saving_over_another_network_leaves_none_of_its_documents(folder):
    (folder / "evaluation.json").write_bytes(b"of another")
    save_folder(folder, zoo.load("hf-seg"))
    kept = (folder / "evaluation.json").read_bytes() if (folder / "evaluation.json").exists() else b""
    assert kept != b"of another"


def test_pickles_alone_are_refused_with_the_reason(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(MissingFileError, match="pickle can run any code"):
        zoo.load(folder)
