"""Data sets to a hub on the loopback, by the genuine client, and back by every reader."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import tree
from hub.fixtures import Client, HubEnv
from hub.server import HubServer
from warm_python import Started, WarmPython

START = """
import hashlib
import json

import mfsynth
from mfsynth.errors import MfsynthError
from mfsynth.publish.run import PublishOptions, publish


def put(repo="ann/pairs", **options):
    return publish(PublishOptions(Path(FOLDER), repo, **options))


def outcome(call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except MfsynthError as error:
        return [type(error).__name__, str(error)]
    return ["fine", ""]


def pixels(location):
    samples = list(mfsynth.open(location))
    return [[s.key, *(hashlib.sha256(f.tobytes()).hexdigest() for f in s.frames)] for s in samples]
"""


@pytest.fixture
def ask(client: Client, demo: Path) -> Callable[..., Any]:
    """Run a snippet that publishes the demo pairs, as Ann unless told otherwise; what it tells."""
    return lambda code, **kwargs: client(f"FOLDER = {str(demo)!r}\n{START}{code}", **kwargs)


Start = Callable[..., AbstractContextManager[Started]]


@pytest.fixture
def started(light: WarmPython, hub_env: HubEnv, tmp_path: Path) -> Start:
    """Start `mfsynth …` as Ann."""

    def start(*words: object) -> AbstractContextManager[Started]:
        return light.started(module="mfsynth.cli", args=tuple(map(str, words)), env=hub_env(), cwd=tmp_path)

    return start


@pytest.fixture
def command(started: Start) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `mfsynth …` as Ann."""

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        with started(*words) as process:
            return process.finished()

    return run


def stored(hub: HubServer, repo_id: str = "ann/pairs", revision: str = "main") -> dict[str, str]:
    """Hashes of a repository's files."""
    files = hub.repo(repo_id, "datasets").files(revision)
    return {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}


def test_a_quiet_command_draws_no_bars_on_a_terminal(
    hub: HubServer, hub_env: HubEnv, demo: Path, tmp_path: Path
) -> None:
    """Neither ours nor the client's own."""
    screen, terminal = pty.openpty()
    environment = {key: value for key, value in hub_env().items() if key != "HF_HUB_DISABLE_PROGRESS_BARS"}
    line = [sys.executable, "-m", "mfsynth", "publish", str(demo), "--repo", "ann/pairs", "--quiet"]
    process = subprocess.Popen(line, env=environment, cwd=tmp_path, stdout=terminal, stderr=terminal)
    os.close(terminal)
    drawn = b""
    with suppress(OSError):  # Linux ends a terminal so
        while part := os.read(screen, 1 << 16):
            drawn += part
    os.close(screen)
    assert (process.wait(), drawn) == (0, b"")
    assert hub.repo("ann/pairs", "datasets").files("main")


def test_a_data_set_arrives_whole_once_and_is_read_from_there(hub: HubServer, ask: Any, demo: Path) -> None:
    told = ask("""
dry = put(dry_run=True)
first = put(tag="v1")
again = put(tag="v1")
tell({
    "first": first.to_json(),
    "dry": [dry.commit, dry.card == first.card, dry.files == first.files],
    "again": [again.commit == first.commit, again.changed, again.lines()],
    "same": pixels(first.location) == pixels(FOLDER) == pixels(first.location + "@v1"),
})
""")
    repo = hub.repo("ann/pairs", "datasets")
    files = told["first"]["files"]
    assert told["dry"] == [None, True, True]
    assert told["again"][:2] == [True, False]
    assert "has it already" in told["again"][2][0]
    assert told["same"]
    assert stored(hub).items() >= {name: each["sha256"] for name, each in files.items()}.items()
    assert set(stored(hub)) == {".gitattributes", *files}
    assert all(stored(hub)[name] == value for name, value in tree(demo).items() if not name.startswith("."))
    assert repo.head == told["first"]["commit"]
    assert repo.named("refs/tags/") == {"v1": repo.head}
    assert len(hub.requests("POST .*/commit/")) == 1
    assert len(hub.requests("PUT /cdn/")) == 2
    assert not [each for each in hub.requests() if each.host == "cdn" and each.has_authorization]


def test_a_push_that_fails_leaves_the_branch_alone_and_the_next_one_goes_on(hub: HubServer, ask: Any) -> None:
    hub.faults.answer("POST /api/datasets/ann/pairs/commit", 500)
    told = ask("tell([outcome(put)[0], put().changed])")
    assert told == ["HubError", True]
    assert len(hub.requests("PUT /cdn/")) == 2  # each shard once


def test_an_interrupted_command_says_how_to_go_on(
    hub: HubServer, started: Start, command: Any, demo: Path
) -> None:
    words = ("publish", demo, "--repo", "ann/pairs", "--quiet")
    running: list[Started] = []
    hub.faults.before("POST .*/preupload/", lambda: os.kill(running[0].pid, signal.SIGINT))
    with started(*words) as process:
        running.append(process)
        done = process.finished()
    assert done.returncode == 130, done.stderr
    assert "run the same command again to continue" in done.stderr
    assert set(stored(hub)) == {".gitattributes"}
    assert command(*words).returncode == 0
    assert "demo-000001.tar" in stored(hub)


def test_a_killed_command_is_finished_by_the_next(
    hub: HubServer, started: Start, command: Any, demo: Path
) -> None:
    words = ("publish", demo, "--repo", "ann/pairs")
    running: list[Started] = []
    hub.faults.before("PUT /cdn/", lambda: os.kill(running[0].pid, signal.SIGKILL))
    with started(*words) as process:
        running.append(process)
        assert process.finished().returncode == -signal.SIGKILL
    assert set(stored(hub)) == {".gitattributes"}
    done = command(*words)
    assert re.search(r"published at http://.*/datasets/ann/pairs, commit [0-9a-f]{40}", done.stdout), done
    assert 'mfsynth.open("hf://datasets/ann/pairs")' in done.stdout
    assert len(hub.repo("ann/pairs", "datasets").commits) == 2  # the repository's first, and ours


def test_pull_request_and_branch(hub: HubServer, ask: Any) -> None:
    told = ask("""
asked = put(create_pr=True)
branch = put(revision="next")
tell([asked.to_json(), branch.to_json(), pixels(asked.location) == pixels(branch.location) == pixels(FOLDER)])
""")
    asked, branch, same = told
    repo = hub.repo("ann/pairs", "datasets")
    assert asked["pull_request"].endswith("/discussions/1")
    assert asked["location"] == "hf://datasets/ann/pairs@refs/pr/1"
    assert branch["location"] == "hf://datasets/ann/pairs@next"
    assert repo.named("refs/heads/")["next"] == branch["commit"]
    assert set(stored(hub)) == {".gitattributes"}
    assert stored(hub, revision="refs/pr/1") == stored(hub, revision="next")
    assert same


def test_private_repositories_are_for_those_who_may(hub: HubServer, ask: Any) -> None:
    assert ask("tell(put(private=True).changed)")
    assert hub.repo("ann/pairs", "datasets").private
    code = 'tell([outcome(put)[0], outcome(mfsynth.open, "hf://datasets/ann/pairs")])'
    login, (error, text) = ask(code, token=None)
    assert (login, error) == ("HubLoginError", "ShardError")
    assert "hf://datasets/ann/pairs/manifest.json" in text
    assert ask(code, token="hf_token_of_bob")[0] == "HubAccessError"


def test_an_older_version_makes_room_and_other_files_stay(hub: HubServer, ask: Any) -> None:
    hub.create_repo("ann/pairs", "datasets")
    older = {"demo-000005.tar": b"old", "notes.md": b"mine", "README.md": b"old"}
    hub.commit("ann/pairs", older, "datasets")
    assert ask("tell(put().changed)")
    assert "demo-000005.tar" not in stored(hub)
    assert hub.repo("ann/pairs", "datasets").files()["notes.md"] == b"mine"
    hub.create_repo("ann/train", "datasets")
    hub.commit("ann/train", {"train2017-000000.tar": b"theirs"}, "datasets")
    sent = len(hub.requests("PUT /cdn/"))
    error, text = ask('tell(outcome(put, "ann/train"))')
    assert error == "HubConflictError"
    assert "holds shards of train2017" in text
    assert len(hub.requests("PUT /cdn/")) == sent


def test_what_did_not_arrive_is_missed(hub: HubServer, ask: Any) -> None:
    hub.faults.never_found("demo-000001.tar")
    error, text = ask("tell(outcome(put))")
    assert error == "HubDamagedError"
    assert "demo-000001.tar has not arrived" in text


def test_the_cards_code_runs_and_the_recipe_in_it_makes_the_set_again(
    hub: HubServer, ask: Any, command: Any, demo: Path, scenes: Path, tmp_path: Path
) -> None:
    told = ask("""
import re
import datasets
card = put().card
names = {}
for block in re.findall(r"```python\\n(.*?)```", card, re.DOTALL):
    exec(block, names)
files = {"train": "hf://datasets/ann/pairs/demo-*.tar"}
rows = datasets.load_dataset("webdataset", data_files=files, split="train", streaming=True)
keys = [scene.key for scene in mfsynth.open(FOLDER).scenes()]
whole = datasets.load_dataset("ann/pairs", split="train")
tell({
    "blocks": card.count("```python"),
    "rows": [row["__key__"] for row in rows] == keys == whole["__key__"][:],
    "webdataset": sorted(names["item"]),
    "torch": list(names["sample"]["frames"].shape[:2]),
    "command": re.search("mfsynth (build --from .*)", card)[1],
})
""")
    assert told["blocks"] == 4
    assert told["rows"]
    assert {"frame0.png", "frame1.png", "gt.jpg", "focus.png", "json"} <= set(told["webdataset"])
    assert told["torch"] == [2, 3]
    again = command(*told["command"].split(), "--coco", scenes, "--workers", 1, "--quiet")
    assert again.returncode == 0, again.stderr
    made = tree(tmp_path / "again")
    assert {name: value for name, value in made.items() if name in stored(hub)} == {
        name: value for name, value in tree(demo).items() if not name.startswith(".")
    }


def test_the_command_reports_as_json_and_refuses_in_one_line(
    hub: HubServer, command: Any, demo: Path, closed: Path
) -> None:
    report = command("publish", demo, "--repo", "ann/pairs", "--dry-run", "--json")
    refused = command("publish", closed, "--repo", "ann/own")
    told = json.loads(report.stdout)
    assert report.stderr == ""
    assert (told["commit"], told["shards"], told["refused"]) == (None, 2, "")
    assert told["licenses"][0]["limits"] == ""
    assert told["files"]["demo-000000.tar"]["size"] == os.path.getsize(demo / "demo-000000.tar")  # noqa: PTH202
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.count("\n") == 1
    assert "--accept-licenses" in refused.stderr
    assert not hub.log
