from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mfsynth import Manifest
from mfsynth.errors import ShardError

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def text(small_pairs: Path) -> bytes:
    return (small_pairs / "manifest.json").read_bytes()


def test_a_manifest_goes_to_json_and_back(text: bytes) -> None:
    assert Manifest.from_json(text).to_json() == text


@pytest.mark.parametrize(
    "name",
    [
        "../small-000000.tar",
        "/small-000000.tar",
        "pipe:cat small-000000.tar",
        "other-000000.tar",
        "small-0.tar",
    ],
)
def test_shard_names_outside_the_folder_are_refused(text: bytes, name: str) -> None:
    content = json.loads(text)
    content["shards"][0]["name"] = name
    with pytest.raises(ShardError, match="is not the name of a shard of 'small'"):
        Manifest.from_json(json.dumps(content).encode())


def test_a_manifest_that_contradicts_itself_is_refused(text: bytes) -> None:
    content = json.loads(text)
    content["shards"][0]["samples"] += 1
    with pytest.raises(ShardError, match="do not add up"):
        Manifest.from_json(json.dumps(content).encode())


def test_a_newer_format_says_what_to_do(text: bytes) -> None:
    content = json.loads(text) | {"format": 2, "shards": "elsewhere"}
    with pytest.raises(ShardError, match="has format 2, this release reads 1; update mfsynth"):
        Manifest.from_json(json.dumps(content).encode())


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}'])
def test_anything_but_a_manifest_is_refused(broken: bytes) -> None:
    with pytest.raises(ShardError, match=r"manifest.json is not a manifest of mfsynth"):
        Manifest.from_json(broken)


def test_an_unfinished_data_set_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(
        ShardError, match=r"manifest.json is not there: this is not a finished data set; to finish one, run"
    ):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("s3://bucket/set", "Install s3fs to access S3; install the package that the message names$"),
        (
            "http://127.0.0.1:1/set",
            r"cannot read http://127.0.0.1:1/set/manifest.json: .*refused",
        ),
        ("memory://none/set", r"memory://none/set/manifest.json is not there$"),
    ],
)
def test_a_url_that_fails_gets_no_advice_to_finish_a_build(
    location: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(ShardError, match=text) as caught:
        Manifest.read(location)
    assert "unfinished" not in str(caught.value)


def test_an_unreadable_manifest_does_not_mean_an_unfinished_data_set(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ShardError, match=r"cannot read .*manifest.json: it is a folder"):
        Manifest.read(tmp_path)


def test_a_negative_number_of_samples_is_refused(text: bytes) -> None:
    content = json.loads(text)
    content["shards"][0]["samples"] -= 20
    content["samples"] -= 20
    with pytest.raises(ShardError, match="contradicts itself: a shard has a negative number of samples"):
        Manifest.from_json(json.dumps(content).encode())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda content: content.update(optics="thin lens"), "optics"),
        (lambda content: content["layout"].update(layers=3), r"layout\.layers"),
        (lambda content: content["shards"][0].update(crc=1), r"shards\.crc"),
    ],
)
def test_fields_of_a_later_release_are_refused_by_name(text: bytes, change: Change, name: str) -> None:
    content = json.loads(text)
    change(content)
    content["packages"]["mfsynth"] = "9.1.0"
    expected = rf"unknown fields in manifest\.json: {name}; written by mfsynth 9\.1\.0: update mfsynth$"
    with pytest.raises(ShardError, match=expected):
        Manifest.from_json(json.dumps(content).encode())


def test_the_manifest_does_not_check_its_options(text: bytes) -> None:
    content = json.loads(text)
    content["options"]["optics"] = "thin lens"
    assert Manifest.from_json(json.dumps(content).encode()).options["optics"] == "thin lens"


def test_optional_fields_may_be_absent(text: bytes) -> None:
    content = json.loads(text)
    del content["left_out"], content["left_out_files"]
    manifest = Manifest.from_json(json.dumps(content).encode())
    assert (manifest.left_out, manifest.left_out_files) == ({}, {})
