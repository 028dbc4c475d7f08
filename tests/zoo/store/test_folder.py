import json
import os
import shutil
from dataclasses import replace
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
from zoo.publishing.cards import model_card
from zoo.store.folder import load_folder, save_folder


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
    with pytest.raises(WeightsError, match="do not fit the network"):
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
    paths = (tmp_path / "none", Path("org/none"), str(tmp_path / "none" / "deeper"), "./none", "../none")
    for path in paths:
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
    for text in (b'{"data": "imagenet"}', b'{"steps": 3}'):
        (folder / "training.json").write_bytes(text)
        assert zoo.info(folder).to_json() == before.to_json()
    for text in (b"nope", b"\xff", b"[]", b'{"steps": ' + b"[" * 100_000):
        (folder / "training.json").write_bytes(text)
        told = zoo.info(folder)
        assert replace(told, malformed="") == before
        assert any(line.startswith("  trained on  not known: training.json") for line in told.lines())
        zoo.load(folder)
    (folder / "evaluation.json").write_bytes(b"nope")
    with pytest.raises(ZooError, match=r"evaluation\.json is not JSON"):
        zoo.info(folder)


# --- hostile folders ------------------------------------------------------------------------------------

FORMAT_1 = Path(__file__).parents[2] / "formats" / "1" / "network"
STRANGE = (
    None,
    True,
    -1,
    2**63,
    10**400,
    1e300,
    "",
    "x" * 20_000,
    "\x1b[2J\n# |",
    [],
    [None],
    {},
    {"a\nb": 0},
)


def leaves(value, path=()):
    """The paths of everything in JSON's own types, from the root on."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from leaves(each, (*path, key))


def with_leaf(value, path, new):
    if not path:
        return new
    inner = dict(value) if isinstance(value, dict) else list(value)
    inner[path[0]] = with_leaf(inner[path[0]], path[1:], new)
    return inner


def lines_or_refusal(call, *args):
    try:
        return call(*args)
    except ZooError as error:
        return [str(error)]


@pytest.mark.parametrize("every", [6, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["training.json", "evaluation.json", "config.json"])
def test_wrong_types_anywhere_in_a_document_are_one_line(name, every, tmp_path):
    """Each kind of wrong value comes at every sixth place, or at all."""
    folder = Path(shutil.copytree(FORMAT_1, tmp_path / "net"))
    values = json.loads((folder / name).read_text())
    before, model = zoo.info(folder), load_folder(folder)

    def card():
        model.documents[name] = (folder / name).read_bytes()
        return str(model_card(model)).splitlines()

    def load():
        load_folder(folder)
        return []

    unread = (("versions",), ("validation",), ("options", "model"))
    for number, path in enumerate(leaves(values)):
        if path[:1] in unread or path[:2] in unread:
            continue
        for strange in STRANGE[number % every :: every]:
            (folder / name).write_text(json.dumps(with_leaf(values, path, strange)))
            shown = lines_or_refusal(lambda: zoo.info(folder).lines())
            if not any("malformed" in line for line in shown):  # else both say the same
                shown += lines_or_refusal(load if name == "config.json" else card)
            assert not [line for line in shown if len(line) > 15_000 or not line.isprintable()]
    (folder / name).write_text(json.dumps(values))
    assert zoo.info(folder) == before


@pytest.mark.parametrize("name", ["training.json", "evaluation.json", "config.json"])
def test_documents_that_are_nested_huge_or_no_files_are_refused(name, tmp_path):
    folder = Path(shutil.copytree(FORMAT_1, tmp_path / "net"))
    (folder / name).write_text('{"x":' + "[" * 200_000 + "]" * 200_000 + "}")
    told = zoo.info(folder).malformed if name == "training.json" else refusal(zoo.info, folder)
    assert "nested too deeply" in told
    assert name in told
    with (folder / name).open("wb") as file:
        file.truncate(100 << 30)
    assert "has more than 4,194,304 bytes" in refusal(zoo.load, folder)
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert "not a regular file" in refusal(zoo.load, folder)


def refusal(call, *args):
    with pytest.raises(ZooError) as caught:
        call(*args)
    return str(caught.value)


SIZES = """
import resource, sys
from pathlib import Path
import zoo
from mfsynth.errors import MfsynthError

before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    zoo.load(Path(sys.argv[1]))
except MfsynthError as error:
    print(error)
assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10
"""


def test_config_cannot_ask_for_more_than_the_weights_have(folder, tmp_path, warm):
    """Width 1024 and depth 8 would take 2,000 GB."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"width": 1024, "depth": 8}))
    done = warm.run(code=SIZES, args=(str(folder),), env=dict(os.environ), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "do not fit the network in its config" in done.stdout
    for changes in ({"width": 8}, {"depth": 1}, {"upsampling": "bilinear"}):
        (folder / "config.json").write_text(json.dumps(config | changes))
        assert "do not fit the network in its config" in refusal(zoo.load, folder)


def header_of(data):
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(header, rest):
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + rest


def test_headers_of_weights_that_lie_are_refused(folder):
    file = folder / "model.safetensors"
    good = file.read_bytes()
    header, rest = header_of(good)
    one, two = [name for name in header if name != "__metadata__"][:2]
    changed = {
        "longer than the file": (1 << 40).to_bytes(8, "little") + good[8:],
        "longer than allowed": (99 << 20).to_bytes(8, "little") + good[8:],
        "nothing": b"",
        "cut in its size": good[:5],
        "overlapping": with_header(header | {two: header[one]}, rest),
        "missing": with_header({name: each for name, each in header.items() if name != one}, rest),
        "huge": with_header(header | {one: header[one] | {"shape": [1 << 40, 1 << 40]}}, rest),
        "negative": with_header(header | {one: header[one] | {"shape": [-1]}}, rest),
        "empty tensors": with_header(
            header
            | {f"x{n}": {"dtype": "F32", "shape": [0, 1 << 60], "data_offsets": [0, 0]} for n in range(99)},
            rest,
        ),
        "behind the end": with_header(header | {one: header[one] | {"data_offsets": [0, 1 << 50]}}, rest),
        "other kind": with_header(header | {one: header[one] | {"dtype": "I64"}}, rest),
        "nested": with_header(header, rest)[:8] + b"[" * 10_000,
    }
    for what, data in changed.items():
        file.write_bytes(data)
        for call in (zoo.load, zoo.info):
            if call is zoo.info and what == "empty tensors":
                continue  # counts no weights
            assert "model.safetensors" in refusal(call, folder), what
    file.unlink()
    os.mkfifo(file)
    assert "cannot be read" in refusal(zoo.load, folder)


def test_saving_over_another_network_leaves_none_of_its_documents(folder):
    (folder / "evaluation.json").write_bytes(b"of another")
    save_folder(folder, zoo.load("hf-seg"))
    kept = (folder / "evaluation.json").read_bytes() if (folder / "evaluation.json").exists() else b""
    assert kept != b"of another"


def test_pickles_alone_are_refused_with_the_reason(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(MissingFileError, match="pickle can run any code"):
        zoo.load(folder)
