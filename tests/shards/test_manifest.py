from __future__ import annotations

import json
import os
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


def test_a_url_that_a_path_has_spoiled_is_explained() -> None:
    with pytest.raises(ShardError, match=r"^s3:/box/set is neither .* as a text that begins with s3://$"):
        Manifest.read(Path("s3://box/set"))


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


NESTED = b'{"format":1,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}'])
def test_anything_but_a_manifest_is_refused(broken: bytes) -> None:
    with pytest.raises(
        ShardError, match=r"manifest.json is (not JSON|malformed): .*; it is damaged, or not a"
    ):
        Manifest.from_json(broken)


def test_an_unfinished_data_set_is_recognized(tmp_path: Path) -> None:
    with pytest.raises(
        ShardError, match=r"manifest.json is not there: this is not a finished data set; to finish one, run"
    ):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (
            "gs://bucket/set",
            "[Ii]nstall gcsfs to access Google Storage; install the package that the message names$",
        ),
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
    monkeypatch.setitem(sys.modules, "gcsfs", None)
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


FORGED: dict[str, tuple[str, Change]] = {
    "frames": (r"\$\.layout\.frames", lambda m: m["layout"].update(frames=10**10)),
    "negative frames": (r"\$\.layout\.frames", lambda m: m["layout"].update(frames=-3)),
    "one frame": (r"\$\.layout\.frames", lambda m: m["layout"].update(frames=1)),
    "store": (r"\$\.layout\.store", lambda m: m["layout"].update(store="x")),
    "gt": (r"\$\.layout\.gt", lambda m: m["layout"].update(gt="../x")),
    "frame kind": (r"\$\.layout\.frame", lambda m: m["layout"].update(frame="exr")),
    "samples 10^12": ("1,000,000,000,000 samples do not fit into", lambda m: samples(m, 10**12)),
    "samples 2^70": ("samples do not fit into", lambda m: samples(m, 2**70)),
    "size 2^70": ("more bytes than any data set can have", lambda m: m["shards"][0].update(size=2**70)),
    "samples 10^12 in as many bytes": ("it gives 1,000,000,000,012 samples", lambda m: huge(m)),
    "negative size": ("do not fit into the -1 bytes", lambda m: m["shards"][0].update(size=-1)),
    "hash": ("is not a SHA-256", lambda m: m["shards"][0].update(sha256="../../etc/passwd")),
    "a shard twice": ("lists a shard twice", lambda m: twice(m)),
    "nested options": ("nested too deeply", lambda m: m["options"].update(x=[[[[[[[[[[]]]]]]]]]])),
}


def samples(manifest: dict[str, Any], number: int) -> None:
    manifest["samples"] += number - manifest["shards"][0]["samples"]
    manifest["shards"][0]["samples"] = number


def huge(manifest: dict[str, Any]) -> None:
    samples(manifest, 10**12)
    manifest["shards"][0]["size"] = 1 << 60


def twice(manifest: dict[str, Any]) -> None:
    manifest["shards"].append(manifest["shards"][0])
    manifest["samples"] += manifest["shards"][0]["samples"]


@pytest.mark.parametrize("name", FORGED)
def test_numbers_and_names_that_no_data_set_has_are_refused_on_reading(text: bytes, name: str) -> None:
    words, change = FORGED[name]
    content = json.loads(text)
    change(content)
    with pytest.raises(ShardError, match=words):
        Manifest.from_json(json.dumps(content).encode())


def test_nested_brackets_are_an_error_of_ours(text: bytes) -> None:
    for broken in (NESTED, NESTED[:-1] + b"," + text[1:], b"[" * 1_000_000):
        with pytest.raises(ShardError, match=r"manifest\.json is (nested too deeply|not JSON|malformed)"):
            Manifest.from_json(broken)


@pytest.mark.parametrize("location", ["v" * 5000, "v" * 5000 + ".json", "a\0b", "a\0b.json"])
def test_a_path_that_no_file_can_have_is_an_error_of_ours(location: str) -> None:
    with pytest.raises(ShardError, match=r"manifest|cannot read"):
        Manifest.read(location)


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_a_regular_file_is_a_manifest(tmp_path: Path, kind: str) -> None:
    """A pipe nobody writes to would be waited for forever, and /dev/zero never ends."""
    path = tmp_path / "manifest.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(ShardError, match=r"cannot read .*manifest\.json"):
        Manifest.read(tmp_path)


def test_a_file_url_is_a_local_folder(small_pairs: Path) -> None:
    for location in (small_pairs.as_uri(), (small_pairs / "manifest.json").as_uri()):
        assert Manifest.read(location) == Manifest.read(small_pairs)
