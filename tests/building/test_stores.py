"""Builds to an object store: the same bytes as on a disk, whatever happens on the way."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from coco_folder import Picture, write_coco
from s3.fixtures import KEY, SECRET, Store

from mfsynth.building.run import Run
from mfsynth.building.run import build as run_build
from mfsynth.errors import OutputError
from mfsynth.options import BuildOptions
from tests.coco.test_split import LAYOUTS
from tests.conftest import Cli, tree

CLAIM = ".parts/lock-0-1000000000000"
LIKE_SMALL = ("--split", "small", "--variants", 2, "--shards", 3, "--noise", 0, 0.1)


@pytest.fixture
def build(cli: Cli, store: Store, small_coco: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Builds the set of `small_pairs` in the store."""

    def run(*more: object) -> subprocess.CompletedProcess[str]:
        where = ("--coco", small_coco, "--out", store.url, "--workers", 1)
        return cli("build", *LIKE_SMALL, *where, *more, env=store.env)

    return run


def test_a_bucket_gets_what_a_folder_gets(
    build: Any, cli: Cli, store: Store, small_pairs: Path, tmp_path: Path
) -> None:
    (tmp_path / "tmp").mkdir()
    store.env["TMPDIR"] = str(tmp_path / "tmp")
    made = build()
    assert made.returncode == 0, made.stderr
    assert f"18 samples in 3 shards, {size_of(small_pairs) / 1e6:.1f} MB, in {store.url}" in made.stdout
    assert store.tree() == tree(small_pairs)
    order = [request.path for request in store.proxy.log if request.method == "PUT"]
    shards = [index for index, path in enumerate(order) if path.endswith(".tar")]
    assert all(order[index + 1].endswith(f"small-00000{number}.json") for number, index in enumerate(shards))
    assert order[-1].endswith("manifest.json")
    assert list((tmp_path / "tmp").iterdir()) == []  # no scratch file is left
    store.proxy.log.clear()
    assert "nothing to do: 18 samples" in build().stdout
    assert not [request for request in store.proxy.log if request.method in ("PUT", "DELETE")]
    for command, told in (
        (["info"], "18 samples in 3 shards"),
        (["stats"], "18"),
        (["verify", "--workers", 1], "is intact: 18 samples in 3 shards"),
        (["preview", "-o", tmp_path / "page.html"], "12 samples"),
        (["publish", "--repo", "you/pairs", "--dry-run", "--accept-licenses"], "would publish"),
    ):
        run = cli(command[0], store.url, *command[1:], env=store.env)
        assert run.returncode == 0, run.stderr
        assert told in run.stdout
    assert list((tmp_path / "tmp").iterdir()) == []


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.tar"))


def test_a_changed_byte_is_found_and_repaired(
    build: Any, cli: Cli, store: Store, small_coco: Path, small_pairs: Path
) -> None:
    build()
    data = bytearray(store.read("small-000001.tar"))
    data[3000] ^= 1
    store.write("small-000001.tar", bytes(data))
    store.write("small-000007.tar", b"stray")
    found = cli("verify", store.url, "--workers", 1, env=store.env)
    assert found.returncode == 1
    assert "small-000001.tar has the SHA-256" in found.stdout
    assert "small-000007.tar is not in the manifest" in found.stdout
    store.system.rm_file(f"{store.root}/small-000007.tar")
    store.system.rm_file(f"{store.root}/small-000000.tar")
    repaired = cli("verify", store.url, "--repair", "--coco", small_coco, "--workers", 1, env=store.env)
    assert repaired.returncode == 0, repaired.stderr
    assert "small-000000.tar is missing" in repaired.stderr
    assert "rebuilt 2 of 3 shards" in repaired.stderr
    assert store.tree() == tree(small_pairs)


def test_a_shard_that_cannot_be_fetched_is_not_called_damaged(
    build: Any, cli: Cli, store: Store, small_coco: Path, small_pairs: Path
) -> None:
    build()
    store.proxy.fault = lambda _method, path: "refuse" if path.endswith("small-000001.tar") else ""
    run = cli("verify", store.url, "--repair", "--coco", small_coco, "--workers", 1, env=store.env)
    assert (run.returncode, run.stdout) == (1, "")
    assert f"cannot read {store.url}/small-000001.tar" in run.stderr
    assert "rebuilt" not in run.stderr
    assert store.tree() == tree(small_pairs)


def test_a_folder_of_another_data_set_is_kept_unless_it_may_be_replaced(
    build: Any, store: Store, small_pairs: Path
) -> None:
    store.write("notes.txt", b"mine")
    assert f"{store.url} is not empty" in build().stderr
    store.system.rm_file(f"{store.root}/notes.txt")
    build("--seed", 1)
    refused = build()
    assert (
        f"{store.url} holds another data set; it differs in\n  seed: 1 there, 0 requested" in refused.stderr
    )
    store.write("notes.txt", b"mine")
    assert build("--overwrite").returncode == 0
    assert store.read("notes.txt") == b"mine"
    store.system.rm_file(f"{store.root}/notes.txt")
    assert store.tree() == tree(small_pairs)


def test_parts_are_made_and_merged(build: Any, cli: Cli, store: Store, small_pairs: Path) -> None:
    for part in ("0:1", "1:3"):
        assert build("--shard-range", part).returncode == 0
    assert "manifest.json" not in store.names()
    merged = cli("merge", store.url, "--workers", 1, env=store.env)
    assert merged.returncode == 0, merged.stderr
    assert "merged 18 samples in 3 shards" in merged.stdout
    assert store.tree() == tree(small_pairs)


def test_merging_reads_each_side_file_once_and_all_together(cli: Cli, store: Store, tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(id=id) for id in (1, 2, 3, 4)])
    (tmp_path / "s" / f"{2:012}.jpg").write_bytes(b"no picture")
    words = ("--split", "s", "--coco", tmp_path, "--shards", 3, "--workers", 1, "--out", store.url)
    assert cli("build", *words, "--shard-range", "0:3", env=store.env).returncode == 0
    side_file = re.compile(r"/s-00000\d\.json(\?|$)")
    together = threading.Barrier(3)

    def waiting(method: str, path: str) -> Any:
        if method == "GET" and side_file.search(path):
            with suppress(threading.BrokenBarrierError):
                together.wait(timeout=10)  # broken unless all three are asked for meanwhile
        return ""

    store.proxy.log.clear()
    store.proxy.fault = waiting
    merged = cli("merge", store.url, "--workers", 1, env=store.env)
    assert merged.returncode == 0, merged.stderr
    assert "image 2 cannot be used" in merged.stdout
    asked = [each.path for each in store.proxy.log if each.method == "GET" and side_file.search(each.path)]
    assert len(asked) == len(set(asked)) == 3
    assert not together.broken


def test_pictures_that_cannot_be_used_close_up(cli: Cli, store: Store, tmp_path: Path) -> None:
    write_coco(tmp_path, "s", [Picture(id=id) for id in (1, 2, 3)])
    (tmp_path / "s" / f"{2:012}.jpg").write_bytes(b"no picture")
    command = ("build", "--split", "s", "--coco", tmp_path, "--shards", 3, "--workers", 1, "--out")
    local, remote = cli(*command, tmp_path / "out"), cli(*command, store.url, env=store.env)
    assert remote.returncode == 0, remote.stderr
    assert "3 shards requested, 2 made" in remote.stdout
    assert remote.stdout.splitlines()[1:] == local.stdout.splitlines()[1:]
    assert store.tree() == tree(tmp_path / "out")


def test_a_process_of_its_own_memory_is_no_place_for_workers(small_coco: Path) -> None:
    with pytest.raises(OutputError, match="memory://box/set is in the memory of one process"):
        run_build(BuildOptions("small"), Run(small_coco, "memory://box/set"))


# --- COCO in a bucket ---------------------------------------------------------------------------------


def upload(store: Store, coco: Path) -> str:
    """A folder's files, in the store."""
    for path in coco.rglob("*"):
        if path.is_file():
            store.write(str(path.relative_to(coco)), path.read_bytes())
    return store.url


@pytest.mark.parametrize(
    "layout",
    [each if each == "nested, deflated" else pytest.param(each, marks=pytest.mark.slow) for each in LAYOUTS],
)
def test_coco_is_read_where_it_is(cli: Cli, store: Store, tmp_path: Path, layout: str) -> None:
    write_coco(tmp_path / "coco", "s", [Picture(id=id) for id in (7, 12, 30)])
    (tmp_path / "coco" / "s" / f"{12:012}.jpg").rename(tmp_path / "coco" / "s" / f"{12:012}.JPG")
    command = ("build", "--split", "s", "--workers", 1, "--quiet", "--coco")
    assert cli(*command, tmp_path / "coco", "--out", tmp_path / "local").returncode == 0
    LAYOUTS[layout](tmp_path / "coco")
    run = cli(*command, upload(store, tmp_path / "coco"), "--out", tmp_path / "out", env=store.env)
    assert run.returncode == 0, run.stderr
    assert tree(tmp_path / "out") == tree(tmp_path / "local")


def test_a_picture_that_changes_in_a_bucket_stops_the_build(
    cli: Cli, store: Store, small_coco: Path, tmp_path: Path
) -> None:
    upload(store, small_coco)
    name = f"small/{3:012}.jpg"
    written = []

    def changed(method: str, path: str) -> Any:
        if method == "HEAD" and path.endswith(name) and not written:
            written.append(name)
            store.write(name, store.read(name) + b" ")
        return ""

    store.proxy.fault = changed
    run = cli("build", *LIKE_SMALL, "--coco", store.url, "--out", tmp_path / "out", env=store.env)
    assert run.returncode == 1
    assert f"{store.url}/{name} has changed" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_coco_folder_that_cannot_be_read_is_no_reason_to_leave_images_out(
    cli: Cli, store: Store, small_coco: Path, tmp_path: Path
) -> None:
    upload(store, small_coco)
    store.proxy.fault = lambda method, path: "refuse" if path.endswith(f"{13:012}.jpg") else ""
    run = cli("build", *LIKE_SMALL, "--coco", store.url, "--out", tmp_path / "out", env=store.env)
    assert run.returncode == 1
    assert f"cannot read {store.url}/small/{13:012}.jpg" in run.stderr
    missing = cli("build", *LIKE_SMALL, "--coco", "s3://no-such-box/coco", env=store.env, cwd=tmp_path)
    assert "mfsynth: there is no folder s3://no-such-box/coco" in missing.stderr
    web = cli("build", *LIKE_SMALL, "--coco", "https://example.org/coco", cwd=tmp_path)
    assert "cannot look for files in https://example.org/coco" in web.stderr


# --- kills --------------------------------------------------------------------------------------------


def many(tmp_path: Path) -> Path:
    """Enough pictures for a build of a few seconds."""
    write_coco(tmp_path / "many", "m", [Picture(id, height=240, width=320) for id in range(1, 25)])
    return tmp_path / "many"


def start(coco: Path, out: str | Path, env: dict[str, str]) -> subprocess.Popen[str]:
    words = ("build", "--split", "m", "--coco", coco, "--out", out, "--shards", 8, "--variants", 2)
    command = [sys.executable, "-m", "mfsynth.cli", *map(str, words), "--workers", "2"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return output


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
    time.sleep(0.3)  # its workers notice


def wait_until(condition: Callable[[], object], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def test_a_killed_build_goes_on_from_what_has_arrived(store: Store, tmp_path: Path) -> None:
    coco = many(tmp_path)
    finish(start(coco, tmp_path / "local", store.env))
    process = start(coco, store.url, store.env)
    wait_until(lambda: sum(request.puts(".json") for request in store.proxy.log) >= 5)
    kill(process)
    assert CLAIM in store.names()
    kept = [name for name in store.names() if name.startswith(".parts/m-")]
    assert 1 <= len(kept) < 8
    store.proxy.log.clear()
    output = finish(start(coco, store.url, store.env))
    assert "kept from before" in output
    assert sum(request.lists for request in store.proxy.log) == 1  # not once for each shard
    again = {request.path for request in store.proxy.log if request.puts(".tar")}
    assert len(again) == 8 - len(kept)
    assert store.tree() == tree(tmp_path / "local")


def test_a_ctrl_c_cuts_a_request_off_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    """The store answers too late, once the command has ended."""
    process = start(many(tmp_path), store.url, store.env)

    def interrupted(method: str, path: str) -> Any:
        if "manifest.json" in path:
            process.send_signal(signal.SIGINT)
            time.sleep(2)
        return ""

    store.proxy.fault = interrupted
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors == "\nmfsynth: interrupted; run the same command again to continue\n"
    assert store.names() == []


@pytest.mark.slow
def test_20_kills_end_with_the_same_bytes(store: Store, tmp_path: Path) -> None:
    coco = many(tmp_path)
    finish(start(coco, tmp_path / "local", store.env))
    started = time.monotonic()
    finish(start(coco, f"{store.url}-timed", store.env))
    whole = time.monotonic() - started
    rng = random.Random(0)
    for _ in range(20):
        process = start(coco, store.url, store.env)
        time.sleep(rng.uniform(0.2, whole))
        kill(process)
        if "manifest.json" in store.names():
            assert store.tree() == tree(tmp_path / "local") | (
                {CLAIM: store.tree()[CLAIM]} if CLAIM in store.names() else {}
            )
            store.system.rm(store.root, recursive=True)
    finish(start(coco, store.url, store.env))
    assert store.tree() == tree(tmp_path / "local")


# --- two builds ---------------------------------------------------------------------------------------


def foreign(beats: int = 0) -> bytes:
    """The claim of a build on another machine."""
    return json.dumps({"owner": "elsewhere", "token": "t", "beats": beats}).encode()


PATIENT = "from mfsynth.storage import claim as c; c.SILENT, c.RENEWED, c._LOOK = {}, {}, 0.1; "
MAIN = "import sys; from mfsynth.cli import main; sys.argv[0] = 'mfsynth'; main()"


def hurried(store: Store, coco: Path, silent: float, renewed: float = 20, setup: str = "") -> Any:
    """A build that does not wait as long for a silent claim; the times are seconds."""
    words = [*LIKE_SMALL, "--coco", coco, "--out", store.url, "--workers", 1]
    code = PATIENT.format(silent, renewed) + setup + MAIN
    return subprocess.run(
        [sys.executable, "-c", code, "build", *map(str, words)],
        capture_output=True, text=True, env=store.env, timeout=120, check=False,
    )  # fmt: skip


def test_a_claim_that_is_silent_is_taken_over(store: Store, small_coco: Path, small_pairs: Path) -> None:
    store.write(CLAIM, foreign())
    run = hurried(store, small_coco, silent=1)
    assert run.returncode == 0, run.stderr
    assert f"another machine has claimed {store.url}: waiting for up to 1 s" in run.stderr
    assert store.tree() == tree(small_pairs)


def test_a_claim_that_is_renewed_is_respected(store: Store, small_coco: Path) -> None:
    store.write(CLAIM, foreign())
    looks = iter(range(1, 1000))

    def renewing(method: str, path: str) -> Any:
        if method == "GET" and path.partition("?")[0].endswith(CLAIM):
            store.write(CLAIM, foreign(next(looks)))
        return ""

    store.proxy.fault = renewing
    run = hurried(store, small_coco, silent=60)
    assert run.returncode == 1
    assert f"another build is working on {store.url}; wait until it has finished" in run.stderr
    assert store.names() == [CLAIM]


def test_a_build_whose_claim_was_taken_does_not_seal(store: Store, small_coco: Path) -> None:
    def taken(method: str, path: str) -> Any:
        if method == "PUT" and path.endswith("small-000002.json"):
            store.write(CLAIM, foreign())
        return ""

    store.proxy.fault = taken
    run = hurried(store, small_coco, silent=90)
    assert run.returncode == 1
    assert f"another build has taken over {store.url}" in run.stderr
    assert "manifest.json" not in store.names()
    assert store.read(CLAIM) == foreign()  # the other's claim is left alone


def test_a_claim_is_renewed_while_the_build_works(store: Store, small_coco: Path) -> None:
    run = hurried(store, small_coco, silent=90, renewed=0.2)
    assert run.returncode == 0, run.stderr
    assert sum(request.puts(CLAIM) for request in store.proxy.log) > 1
    assert CLAIM not in store.names()


# --- networks and stores that misbehave ---------------------------------------------------------------


@pytest.mark.parametrize(
    "fault", ["cut", *(pytest.param(each, marks=pytest.mark.slow) for each in ("drop", "lose", "busy"))]
)
def test_every_fifth_request_fails(build: Any, store: Store, small_pairs: Path, fault: Any) -> None:
    numbers = iter(range(1, 10**6))
    store.proxy.fault = lambda _method, _path: fault if next(numbers) % 5 == 0 else ""
    run = build()
    assert run.returncode == 0, run.stderr
    assert sum(request.fault == fault for request in store.proxy.log) > 3
    assert store.tree() == tree(small_pairs)


def test_what_arrives_otherwise_is_sent_again(build: Any, store: Store, small_pairs: Path) -> None:
    """Another object in its place, of the same size, as a store that mixes up two uploads would leave."""
    spoiled = []

    def spoil(method: str, path: str) -> Any:
        name = path.partition("?")[0].rpartition("/")[2]
        if method == "HEAD" and name == "small-000001.tar" and not spoiled:
            spoiled.append(name)
            store.write(name, bytes(len(store.read(name))))
        return ""

    store.proxy.fault = spoil
    run = build()
    assert run.returncode == 0, run.stderr
    assert spoiled
    assert sum(request.puts("small-000001.tar") for request in store.proxy.log) == 2
    assert store.tree() == tree(small_pairs)


def test_a_store_that_cannot_be_written_is_named_without_secrets(
    cli: Cli, store: Store, small_coco: Path, tmp_path: Path
) -> None:
    words = ("build", *LIKE_SMALL, "--coco", small_coco, "--workers", 1, "--out")
    for url, told in (
        (
            "s3://no-such-box/set",
            "cannot write to s3://no-such-box/set: .*bucket does not exist; create the bucket",
        ),
        (f"s3://{KEY}:{SECRET}@no-such-box/set?X-Amz-Signature={SECRET}", "cannot .* s3://no-such-box/set"),
    ):
        run = cli(*words, url, env=store.env)
        assert run.returncode == 1
        assert re.search(told, run.stderr), run.stderr
        assert "Traceback" not in run.stderr
        for secret in (KEY, SECRET):
            assert secret not in run.stdout + run.stderr


def test_reading_without_keys_says_what_to_set(cli: Cli, store: Store, tmp_path: Path) -> None:
    env = {name: value for name, value in store.env.items() if not name.startswith("AWS_")}
    env |= {"AWS_ENDPOINT_URL": store.proxy.url, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(tmp_path)}
    run = cli("info", store.url, env=env)
    assert run.returncode == 1
    assert "set the keys as usual for the object store, as in AWS_ACCESS_KEY_ID" in run.stderr


def test_no_secret_is_left_anywhere(build: Any, cli: Cli, store: Store) -> None:
    numbers = iter(range(1, 10**6))
    store.proxy.fault = lambda _method, _path: "drop" if next(numbers) % 7 == 0 else ""
    runs = [build(), build("--seed", 1), cli("verify", store.url, env=store.env)]
    runs.append(cli("info", store.url, "--json", env=store.env))
    assert [run.returncode for run in runs] == [0, 1, 0, 0]
    assert sum(request.fault == "drop" for request in store.proxy.log) > 3
    texts = [run.stdout + run.stderr for run in runs] + [repr(store.read(name)) for name in store.names()]
    assert not [text for text in texts if KEY in text or SECRET in text or "Signature" in text]
