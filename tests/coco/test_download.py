from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from conftest import Cli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mfsynth.coco.official import download as module
from mfsynth.coco.official.download import archives, base_url, download, missing_bytes
from mfsynth.coco.official.transfer import PartialFile
from mfsynth.errors import DownloadError, OptionsError, OutputError
from mfsynth.locks import lock_path, locked
from mfsynth.storage import Patience
from mfsynth.storage.web import Remote
from tests.coco.http_server import Served, Server, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

PICTURES = "/zips/val2017.zip"
PANOPTIC = "/annotations/panoptic_annotations_trainval2017.zip"
INSTANCES = "/annotations/annotations_trainval2017.zip"
QUICK = Patience(tries=3, pause=0.001, longest=0.01, timeout=5)
NAMES = [f"{number:012d}.jpg" for number in (139, 285, 632, 724, 776)]


def encoded(kind: str, seed: int) -> bytes:
    picture = np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8)
    return cv2.imencode(kind, picture)[1].tobytes()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def picture_zip(names: list[str] = NAMES, seed: int = 0) -> bytes:
    pictures = {f"val2017/{name}": encoded(".jpg", seed + at) for at, name in enumerate(names)}
    return zipped({"val2017/": b"", **pictures})


def commented(data: bytes, size: int) -> bytes:
    """A zip made longer by a comment."""
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"-" * (size - len(data))
    return out.getvalue()


def listing() -> bytes:
    images = [{"id": int(name[:12]), "file_name": name, "width": 128, "height": 96} for name in NAMES]
    return json.dumps({"info": {"year": 2017}, "licenses": [], "images": images, "annotations": []}).encode()


def panoptic_zip(json_text: bytes | None = None) -> bytes:
    masks = {f"panoptic_val2017/{name[:12]}.png": encoded(".png", at) for at, name in enumerate(NAMES[:2])}
    members = {
        "annotations/panoptic_val2017.json": listing() if json_text is None else json_text,
        "annotations/panoptic_val2017.zip": zipped({"panoptic_val2017/": b"", **masks}),
    }
    return zipped(members, zipfile.ZIP_DEFLATED)


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    instances = zipped({"annotations/instances_val2017.json": listing()}, zipfile.ZIP_DEFLATED)
    return {PICTURES: picture_zip(), PANOPTIC: panoptic_zip(), INSTANCES: instances}


@pytest.fixture
def server(made: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        monkeypatch.setenv("MFSYNTH_COCO_URL", running.url)
        running.files = {path: Served(data) for path, data in made.items()}
        yield running


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "coco"


def part_in(root: Path, name: str = "val2017.zip") -> Path:
    """The only partial file of an archive."""
    (part,) = root.glob(f"{name}.*.part")
    return part


def left_in(root: Path) -> set[str]:
    return {path.name for path in root.iterdir()}


def refused(root: Path, *words: str) -> DownloadError:
    """The error of a download that fails, which must have these words."""
    with pytest.raises(DownloadError) as caught:
        download("val2017", root, patience=QUICK)
    for word in words:
        assert word in str(caught.value)
    assert caught.value.hint
    assert not (root / "val2017.zip").exists()
    return caught.value


# --- what goes well -----------------------------------------------------------------------------------


def test_whole_download(server: Server, root: Path, made: dict[str, bytes]) -> None:
    told: list[tuple[str, int, int]] = []
    paths = download("val2017", root, progress=lambda *piece: told.append(piece), patience=QUICK)
    assert paths == (root / "panoptic_annotations_trainval2017.zip", root / "val2017.zip")
    assert paths[0].read_bytes() == made[PANOPTIC]
    assert paths[1].read_bytes() == made[PICTURES]
    assert left_in(root) == {path.name for path in paths}
    size = len(made[PICTURES])
    pieces = [done for name, done, total in told if name == "val2017.zip" and total == size]
    assert pieces[0] == 0
    assert pieces[-1] == size
    assert pieces == sorted(pieces)


def test_checking_tells_how_it_goes_on(server: Server, root: Path, made: dict[str, bytes]) -> None:
    told: list[tuple[str, int, int]] = []
    download("val2017", root, progress=lambda *piece: told.append(piece), patience=QUICK)
    pieces = [(done, total) for name, done, total in told if name == "checking val2017.zip"]
    size = sum(info.compress_size for info in zipfile.ZipFile(root / "val2017.zip").infolist())
    assert pieces[0] == (0, size)
    assert pieces[-1] == (size, size)
    assert len(pieces) == len(NAMES) + 2
    assert told[-1][0] == "checking val2017.zip"


def test_instances(server: Server, root: Path) -> None:
    paths = download("val2017", root, masks="instances", patience=QUICK)
    assert [path.name for path in paths] == ["annotations_trainval2017.zip", "val2017.zip"]
    assert not server.gets(PANOPTIC)


def test_what_is_complete_is_not_asked_for_again(server: Server, root: Path) -> None:
    first = download("val2017", root, patience=QUICK)
    server.log.clear()
    assert download("val2017", root, patience=QUICK) == first
    assert missing_bytes("val2017", root, patience=QUICK) == 0
    assert not server.log


def test_other_masks_later_need_no_pictures_again(server: Server, root: Path) -> None:
    download("val2017", root, patience=QUICK)
    download("val2017", root, masks="instances", patience=QUICK)
    assert len(server.gets(PICTURES)) == 1
    assert len(server.gets(INSTANCES)) == 1


def test_address_as_argument(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MFSYNTH_COCO_URL")
    assert base_url() == "http://images.cocodataset.org"
    download("val2017", root, base_url=f"{server.url}/", patience=QUICK)
    assert (root / "val2017.zip").is_file()


def test_dry_run_tells_the_download_and_does_none(
    server: Server, tmp_path: Path, cli: Cli, made: dict[str, bytes]
) -> None:
    command = ["build", "--split", "val2017", "--dry-run", "--out", tmp_path / "out"]
    run = cli(*command)
    assert (run.returncode, run.stdout) == (
        0,
        "would download 0.0 GB of val2017 first; what it would make is known only then\n",
    )
    size = len(made[PICTURES]) + len(made[PANOPTIC])
    assert json.loads(cli(*command, "--json").stdout) == {"split": "val2017", "download_bytes": size}
    assert all(request.method == "HEAD" for request in server.log)
    assert not list(tmp_path.rglob("*.zip*"))


# --- broken transfers ---------------------------------------------------------------------------------


def test_resumes_where_the_connection_broke(server: Server, root: Path, made: dict[str, bytes]) -> None:
    file = server.files[PICTURES]
    file.drops = [9000, 5000]
    download("val2017", root, patience=QUICK)
    first, second, third = server.gets(PICTURES)
    assert first.range is None
    assert second.range == "bytes=9000-"
    assert second.if_range == file.tag()
    assert third.range == "bytes=14000-"
    assert first.sent + second.sent + third.sent == len(made[PICTURES])
    assert (root / "val2017.zip").read_bytes() == made[PICTURES]


def test_tries_count_only_while_nothing_arrives(server: Server, root: Path) -> None:
    server.files[PICTURES].drops = [3000, 0, 0, 3000, 0, 0, 3000]  # more than three, never three in a row
    download("val2017", root, patience=QUICK)
    assert len(server.gets(PICTURES)) == 8


def test_gives_up_after_so_many_tries_in_a_row(server: Server, root: Path) -> None:
    server.files[PICTURES].drops = [3000, 0, 0, 0, 0]
    error = refused(root, "val2017.zip", "3 tries in a row")
    assert "what arrived is kept" in error.hint
    assert part_in(root).stat().st_size == 3000
    assert len(server.gets(PICTURES)) == 4


def test_a_later_call_goes_on(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES].drops = [9000, 0, 0, 0]
    refused(root)
    assert left_in(root) == {"panoptic_annotations_trainval2017.zip", part_in(root).name}
    assert missing_bytes("val2017", root, patience=QUICK) == len(made[PICTURES]) - 9000
    server.log.clear()
    told: list[int] = []
    download("val2017", root, progress=lambda _, done, total: told.append(done), patience=QUICK)
    assert [(get.range, get.sent) for get in server.gets(PICTURES)] == [
        ("bytes=9000-", len(made[PICTURES]) - 9000)
    ]
    assert told[0] == 9000
    assert not server.gets(PANOPTIC)
    assert (root / "val2017.zip").read_bytes() == made[PICTURES]


def test_a_killed_process_is_resumed(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES].stall_at = 20_000
    code = "import sys, pathlib; from mfsynth.coco.official.download import download; "
    code += "download('val2017', pathlib.Path(sys.argv[1]))"
    child = subprocess.Popen([sys.executable, "-c", code, str(root)])
    try:
        assert server.stalled.wait(30)
        deadline = time.monotonic() + 10
        while not any(part.stat().st_size for part in root.glob("val2017.zip.*.part")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(OutputError, match="another download is working on"):
            download("val2017", root, patience=QUICK)
    finally:
        child.kill()
        child.wait()
    kept = part_in(root).stat().st_size
    assert kept > 0
    download("val2017", root, patience=QUICK)
    assert [get.range for get in server.gets(PICTURES)] == [None, f"bytes={kept}-"]
    assert (root / "val2017.zip").read_bytes() == made[PICTURES]


def test_a_complete_part_is_only_checked(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES].drops = [9000, 0, 0, 0]
    refused(root)
    part_in(root).write_bytes(made[PICTURES])
    server.log.clear()
    assert missing_bytes("val2017", root, patience=QUICK) == 0
    download("val2017", root, patience=QUICK)
    assert not server.gets(PICTURES)


def test_a_server_without_ranges(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES].ranges = False
    server.files[PICTURES].drops = [9000, 5000]
    told: list[tuple[str, int]] = []
    download("val2017", root, progress=lambda name, done, total: told.append((name, done)), patience=QUICK)
    assert [get.status for get in server.gets(PICTURES)] == [200, 200, 200]
    assert (root / "val2017.zip").read_bytes() == made[PICTURES]
    assert told.count(("val2017.zip", 0)) == 3


def test_a_server_without_ranges_that_always_breaks_off(server: Server, root: Path) -> None:
    server.files[PICTURES].ranges = False
    server.files[PICTURES].drops = [9000] * 20
    refused(root, "no further than byte 9000", "3 tries in a row")
    assert len(server.gets(PICTURES)) == 4


@pytest.mark.parametrize("heeds", [True, False])
def test_a_file_that_changed_is_fetched_again(server: Server, root: Path, heeds: bool) -> None:
    server.files[PICTURES].drops = [9000, 0, 0, 0]
    refused(root)
    changed = picture_zip(seed=100)
    server.files[PICTURES] = Served(changed, heeds_if_range=heeds)
    download("val2017", root, patience=QUICK)
    assert (root / "val2017.zip").read_bytes() == changed


@pytest.mark.parametrize("heeds", [True, False])
def test_a_file_that_changes_during_a_transfer(server: Server, root: Path, heeds: bool) -> None:
    changed = Served(picture_zip(seed=100), heeds_if_range=heeds)
    server.files[PICTURES].drops = [9000]

    def change(name: str, done: int, total: int) -> None:
        if name == "val2017.zip" and done == 9000:
            server.files[PICTURES] = changed

    download("val2017", root, progress=change, patience=QUICK)
    assert (root / "val2017.zip").read_bytes() == changed.data
    assert server.gets(PICTURES)[1].range == "bytes=9000-"
    assert server.gets(PICTURES)[1].status == (200 if heeds else 206)


@pytest.mark.parametrize("etag", [None, ""])
def test_a_file_of_the_same_size_that_changes(server: Server, root: Path, etag: str | None) -> None:
    first, second = picture_zip(), picture_zip(seed=100)
    size = max(len(first), len(second)) + 1
    old = Served(commented(first, size), drops=[9000, 0, 0, 0], etag=etag)
    new = Served(
        commented(second, size), heeds_if_range=False, etag=etag, modified="Wed, 12 Jul 2017 00:00:00 GMT"
    )
    server.files[PICTURES] = old

    def change(name: str, done: int, total: int) -> None:
        if name == "val2017.zip" and done == 9000:
            server.files[PICTURES] = new

    download("val2017", root, progress=change, patience=QUICK)
    assert [get.status for get in server.gets(PICTURES)] == [200, 206, 200]
    assert (root / "val2017.zip").read_bytes() == new.data


def test_a_file_that_shrinks_during_a_transfer(server: Server, root: Path, made: dict[str, bytes]) -> None:
    small = Served(picture_zip([*NAMES[:1]]), heeds_if_range=False)
    server.files[PICTURES].drops = [len(made[PICTURES]) - 10]

    def change(name: str, done: int, total: int) -> None:
        if name == "val2017.zip" and done == len(made[PICTURES]) - 10:
            server.files[PICTURES] = small

    with pytest.raises(DownloadError, match=r"4 of 5 missing \(.*, …\)"):
        download("val2017", root, progress=change, patience=QUICK)
    assert [get.status for get in server.gets(PICTURES)] == [200, 416, 200]


def test_busy_servers_are_asked_again(server: Server, root: Path) -> None:
    server.files[PICTURES].statuses = [503, 429]
    download("val2017", root, patience=QUICK)
    assert [get.status for get in server.gets(PICTURES)] == [503, 429, 200]


@pytest.mark.parametrize(("etag", "modified"), [('W/"1"', None), ("", None), ("", ""), ('W/"1"', "")])
def test_weak_and_absent_validators(
    server: Server, root: Path, made: dict[str, bytes], etag: str, modified: str | None
) -> None:
    file = server.files[PICTURES]
    file.etag, file.drops = etag, [9000]
    if modified is not None:
        file.modified = modified
    download("val2017", root, patience=QUICK)
    second = server.gets(PICTURES)[1]
    assert second.range == "bytes=9000-"
    assert second.if_range == (file.modified or None)
    assert (root / "val2017.zip").read_bytes() == made[PICTURES]


def test_a_server_that_refuses_head(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES].head = 405
    assert missing_bytes("val2017", root, patience=QUICK) == len(made[PICTURES]) + len(made[PANOPTIC])
    assert not root.exists()
    download("val2017", root, patience=QUICK)
    assert (root / "val2017.zip").read_bytes() == made[PICTURES]


def test_an_answer_without_a_length(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES].chunked = True
    server.files[PICTURES].drops = [9000]
    download("val2017", root, patience=QUICK)
    assert (root / "val2017.zip").read_bytes() == made[PICTURES]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drops=st.lists(st.integers(0, 90_000), max_size=5),
    ranges=st.booleans(),
    heeds=st.booleans(),
    etag=st.sampled_from([None, "", 'W/"1"']),
    changes_at=st.integers(0, 6),
)
def test_whatever_the_server_does_the_archive_is_whole_or_absent(
    server: Server,
    made: dict[str, bytes],
    tmp_path: Path,
    drops: list[int],
    ranges: bool,
    heeds: bool,
    etag: str | None,
    changes_at: int,
) -> None:
    root = Path(tempfile.mkdtemp(dir=tmp_path))
    served = Served(made[PICTURES], ranges=ranges, heeds_if_range=heeds, etag=etag, drops=[*drops])
    server.files[PICTURES] = served
    changed = picture_zip(seed=100)
    server.log.clear()

    def change(name: str, done: int, total: int) -> None:
        if len(server.gets(PICTURES)) == changes_at:
            served.data, served.modified = changed, "Wed, 12 Jul 2017 03:24:01 GMT"

    for _ in range(len(drops) + 3):  # a change without any validator is found by the check, which removes it
        with contextlib.suppress(DownloadError):
            download("val2017", root, progress=change, patience=QUICK)
            break
        assert not (root / "val2017.zip").exists()
    assert (root / "val2017.zip").read_bytes() in (made[PICTURES], changed)
    assert not list(root.glob("*part*"))


# --- what arrives is wrong ----------------------------------------------------------------------------


def test_truncated_for_ever(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES].ends_at = len(made[PICTURES]) - 1000
    refused(root, "3 tries in a row", "MFSYNTH_COCO_URL")
    assert part_in(root).stat().st_size == len(made[PICTURES]) - 1000


def test_half_a_zip(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PICTURES] = Served(made[PICTURES][: len(made[PICTURES]) // 2])
    refused(root, "not a zip file", "removed")
    assert left_in(root) == {"panoptic_annotations_trainval2017.zip"}


def test_a_damaged_picture_is_named(server: Server, root: Path, made: dict[str, bytes]) -> None:
    damaged = bytearray(made[PICTURES])
    at = damaged.index(b"val2017/" + NAMES[2].encode()) + 200
    damaged[at] ^= 1
    server.files[PICTURES] = Served(bytes(damaged))
    refused(root, f"val2017/{NAMES[2]}", "checksum", "removed")
    assert left_in(root) == {"panoptic_annotations_trainval2017.zip"}


def test_damaged_annotations_are_named(server: Server, root: Path, made: dict[str, bytes]) -> None:
    damaged = bytearray(made[PANOPTIC])
    name = b"annotations/panoptic_val2017.json"
    damaged[damaged.index(name) + len(name)] ^= 0x06  # the deflate block's type
    server.files[PANOPTIC] = Served(bytes(damaged))
    refused(root, "annotations/panoptic_val2017.json", "removed")
    assert left_in(root) == set()
    assert not server.gets(PICTURES)


def test_missing_pictures_are_named(server: Server, root: Path) -> None:
    server.files[PICTURES] = Served(picture_zip(NAMES[:-1]))
    error = refused(root, f"1 of 5 missing (val2017/{NAMES[-1]})")
    assert str(part_in(root)) in error.message


def test_unlisted_pictures_are_named(server: Server, root: Path) -> None:
    server.files[PICTURES] = Served(picture_zip([*NAMES, "new.jpg"]))
    refused(root, "1 not listed (val2017/new.jpg)")


def test_annotations_of_something_else(server: Server, root: Path, made: dict[str, bytes]) -> None:
    server.files[PANOPTIC] = Served(made[INSTANCES])
    refused(root, "2 of 2 missing (annotations/panoptic_val2017.json, annotations/panoptic_val2017.zip)")


def test_annotations_that_are_not_json(server: Server, root: Path) -> None:
    server.files[PANOPTIC] = Served(panoptic_zip(b'{"images": [{"file_'))
    refused(root, "panoptic_annotations_trainval2017.zip", "its content cannot be read")


def test_an_annotation_file_far_larger_than_cocos_is_not_unpacked(server: Server, root: Path) -> None:
    archive = io.BytesIO(panoptic_zip())
    with zipfile.ZipFile(archive, "a") as members:
        members.comment = b"so that it is written again"
        members.getinfo("annotations/panoptic_val2017.json").file_size = 3 << 30
    server.files[PANOPTIC] = Served(archive.getvalue())
    refused(root, "panoptic_val2017.json is said to have 3,221,225,472 bytes, far more than COCO's")


def test_annotations_nested_too_deeply(server: Server, root: Path) -> None:
    server.files[PANOPTIC] = Served(panoptic_zip(b'{"images": [], "a": ' + b"[" * 100_000))
    refused(root, "nested too deeply")


@given(st.integers(0, 400), st.integers(0, 255))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_is_an_error_of_ours(
    server: Server, root: Path, made: dict[str, bytes], at: int, byte: int
) -> None:
    """Also in the archive's directory, where zipfile raises errors of many kinds."""
    data = bytearray(made[PANOPTIC])
    data[-1 - at] = byte
    server.files[PANOPTIC] = Served(bytes(data))
    with contextlib.suppress(DownloadError):
        download("val2017", root, patience=QUICK)
    shutil.rmtree(root, ignore_errors=True)


def test_no_key_of_a_mirror_is_shown(server: Server, root: Path, caplog: pytest.LogCaptureFixture) -> None:
    mirror = server.url.replace("//", "//ann:SECRET@") + "?X-Amz-Signature=SECRET"
    server.files = {f"{path}?X-Amz-Signature=SECRET": file for path, file in server.files.items()}
    pictures = server.files[f"{PICTURES}?X-Amz-Signature=SECRET"]
    pictures.drops = [9000]
    caplog.set_level(logging.INFO)
    download("val2017", root, base_url=mirror, patience=QUICK)
    assert "val2017.zip was interrupted" in caplog.text
    (root / "val2017.zip").unlink()
    for status in (403, 503):
        pictures.head = status
        with pytest.raises(DownloadError, match=f"{PICTURES}: the server answers {status}") as caught:
            download("val2017", root, base_url=mirror, patience=QUICK)
        assert "SECRET" not in f"{caught.value!r} {caught.value}"
    assert "SECRET" not in caplog.text


def test_a_page_instead_of_a_zip(server: Server, root: Path) -> None:
    server.files[PANOPTIC] = Served(b"<!doctype html><title>Sign in</title>", content_type="text/html")
    refused(root, "text/html instead of a zip", "browser")
    assert not root.exists()


def test_a_stranger_under_the_final_name_is_left_alone(server: Server, root: Path) -> None:
    root.mkdir()
    (root / "val2017.zip").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DownloadError, match="cut short"):
        download("val2017", root, patience=QUICK)
    assert (root / "val2017.zip").read_bytes() == b"PK\x03\x04 cut short"


# --- what stands in the way ---------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "words"), [("val2014", "did you mean val2017"), ("mine", "your own data")])
def test_unknown_split(root: Path, split: str, words: str) -> None:
    with pytest.raises(OptionsError, match=words) as caught:
        download(split, root)
    assert split in caught.value.message


def test_unknown_masks_and_addresses(server: Server, root: Path) -> None:
    with pytest.raises(OptionsError, match="stuff"):
        archives("val2017", "stuff")  # type: ignore[arg-type]
    with pytest.raises(OptionsError, match="http://"):
        download("val2017", root, base_url="mirror.example", patience=QUICK)


@pytest.mark.parametrize(("status", "word"), [(404, "not found"), (403, "forbidden"), (500, "500")])
def test_refusals(server: Server, root: Path, status: int, word: str) -> None:
    server.files[PICTURES].head = status
    refused(root, f"{server.url}{PICTURES}", word, "MFSYNTH_COCO_URL")


def test_no_server_answers(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MFSYNTH_COCO_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        refused(root, "refused", "MFSYNTH_COCO_URL")


def test_a_name_that_does_not_resolve(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **more: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("MFSYNTH_COCO_URL", "http://coco.invalid")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    refused(root, "coco.invalid", "not known", "MFSYNTH_COCO_URL")


def test_too_little_room(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=module.MARGIN + 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    refused(root, str(root), "0.27 GB free", "larger disk")
    assert all(request.method == "HEAD" for request in server.log)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_disk_full_on_the_way(server: Server, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    file = server.files[PANOPTIC]
    part = PartialFile(root / "panoptic_annotations_trainval2017.zip", Remote(len(file.data), file.tag()))
    part.path.symlink_to("/dev/full")
    monkeypatch.setattr(PartialFile, "discard", lambda self: None)  # it would remove the link
    refused(root, str(part.path), "No space left on device", "free some space")


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(tmp_path / "file", "cannot read or write", str(tmp_path / "file"))


def test_two_at_once(server: Server, root: Path) -> None:
    with locked(root, "download"), pytest.raises(OutputError, match=f"another download is working on {root}"):
        download("val2017", root, patience=QUICK)
    assert not server.log
    download("val2017", root, patience=QUICK)


def test_lock_of_one_folder_by_two_names(server: Server, root: Path) -> None:
    assert lock_path(root / ".." / "coco") == lock_path(root)
    assert lock_path(root).parent.parts[-3:] == ("cache", "mfsynth", "locks")


def test_pauses_as_long_as_the_server_asks(
    server: Server, root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.files[PICTURES].statuses = [503]
    download("val2017", root, patience=Patience(tries=2, pause=0.001, longest=0.25))
    assert any("trying again in 0.2" in line for line in caplog.messages)


@pytest.mark.parametrize(("target", "words"), [(PICTURES, "redirects"), ("ftp://127.0.0.1/", "ftp")])
def test_redirects_that_lead_nowhere(server: Server, root: Path, target: str, words: str) -> None:
    server.files[PICTURES].redirect = target
    refused(root, f"cannot fetch {server.url}{PICTURES}", words)


def test_an_address_that_cannot_be_parsed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFSYNTH_COCO_URL", "http://[::1")
    refused(root, "cannot fetch http://[::1/annotations", "MFSYNTH_COCO_URL")


def test_a_login_page_in_between_costs_nothing_that_arrived(
    server: Server, root: Path, made: dict[str, bytes]
) -> None:
    server.files[PICTURES].drops = [9000]

    def sign_in(name: str, done: int, total: int) -> None:
        if name == "val2017.zip" and done == 9000:
            server.files[PICTURES] = Served(b"<!doctype html>", content_type="text/html")

    with pytest.raises(DownloadError, match="text/html instead of a zip"):
        download("val2017", root, progress=sign_in, patience=QUICK)
    server.files[PICTURES] = Served(made[PICTURES])
    assert missing_bytes("val2017", root, patience=QUICK) == len(made[PICTURES]) - 9000


@pytest.mark.parametrize("resumed", [True, False])
def test_parts_of_other_files_are_removed(
    server: Server, root: Path, monkeypatch: pytest.MonkeyPatch, resumed: bool
) -> None:
    if resumed:
        server.files[PICTURES].drops = [9000, 0, 0, 0]
        refused(root)
    root.mkdir(exist_ok=True)
    for name in ("val2017.zip.0123abcd.part", "val2017.zip.part", "val2017.zip.part.json"):
        (root / name).write_bytes(b"PK")
    (root / "val2017.zip.md5").write_text("mine")
    measured: list[set[str]] = []
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: measured.append(left_in(root)) or usage)
    download("val2017", root, patience=QUICK)
    assert left_in(root) == {"panoptic_annotations_trainval2017.zip", "val2017.zip", "val2017.zip.md5"}
    assert len(measured) == 1
    assert resumed or measured[0] == {"val2017.zip.md5"}
