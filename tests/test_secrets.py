"""User, password and key of a URL reach the server, and nothing else: no document, no line, no error."""

from __future__ import annotations

import base64
import functools
import http.server
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch
from click.testing import CliRunner, Result

import mfsynth
from mfsynth import storage
from mfsynth.cli import main
from tests.conftest import tree
from zoo.evaluation.options import EvaluateOptions, evaluate_command

if TYPE_CHECKING:
    from collections.abc import Iterator

USER, PASSWORD, KEY = "annSECRET", "pw/SECRET", "keySECRET"
MODEL = ("model.width=4", "model.depth=2", "crop=16", "pairs=2", "precision=fp32")


class Guarded(http.server.SimpleHTTPRequestHandler):
    """Serves a folder to those who know the password and the key."""

    def do_GET(self) -> None:
        known = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers.get("Authorization") != known or not self.path.endswith(f"?token={KEY}"):
            self.send_error(401)
        else:
            super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(small_pairs: Path) -> Iterator[str]:
    handler = functools.partial(Guarded, directory=str(small_pairs))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def url(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    return f"http://{USER}:{PASSWORD.replace('/', '%2F')}@{address}?token={KEY}"


def run(*words: object) -> Result:
    """Run a command here; whatever it prints, and every file in the working folder, has no secret."""
    result = CliRunner().invoke(main, [*map(str, words)])
    files = {path: Path(path).read_bytes() for path in tree(Path())}
    printed = {"stdout": result.stdout_bytes, "stderr": result.stderr_bytes}
    kept = [name for name, data in (files | printed).items() if b"SECRET" in data or "SECRET" in name]
    assert not kept, (words[0], kept, result.output)
    return result


def test_commands_that_read_a_data_set(url: str, small_coco: Path) -> None:
    at = url.partition("@")[2].partition("?")[0]
    for words in (
        ("info", url), ("info", url, "--json"), ("stats", url, "-o", "stats.png", "--json"),
        ("preview", url, "-o", "page.html"), ("preview", url, "-o", "sheet.png"), ("verify", url),
        ("build", "--from", url, "--coco", small_coco, "--out", "again", "--workers", 1),
    ):  # fmt: skip
        result = run(*words)
        assert result.exit_code == 0, result.output
    assert f"http://{at}" in run("info", url).stdout


def test_errors(url: str, small_pairs: Path) -> None:
    wrong = url.replace("annSECRET", "bobSECRET")
    none = f"http://{USER}:{PASSWORD}"
    for words in (
        ("stats", f"{url}&none"), ("info", wrong), ("info", url.replace("?", "/none?")), ("info", none),
        ("verify", wrong), ("publish", url, "--repo", "a/b"), ("publish", small_pairs, "--repo", url),
        ("build", "--split", "small", "--coco", url), ("build", "--split", "demo", "--out", url),
        ("download", "--split", "val2017", "--coco", "c", "--base-url", url),
        ("download", "--split", "val2017", "--coco", "c", "--base-url", url.replace("http:", "htp:")),
        ("train", "hf-seg", "--data", wrong, "--out", "run"), ("train", "hf-seg", "--data", f"{url}@0"),
        ("evaluate", "--methods", "gff", "--data", f"shards:{wrong}", "--out", "e"),
        ("evaluate", "--methods", "gff", "--data", f"pairs:{url}", "--out", "e"),
        ("evaluate", "--methods", "gff", "--data", url, "--out", "e"),
        ("evaluate", "--methods", url, "--data", f"shards:{url}", "--out", "e"),
        ("zoo", "info", url), ("zoo", "pull", url), ("zoo", "push", url, "--repo", "a/b", "--license", "mit"),
        ("fuse", url, url, "-o", "f.png"), ("fuse", "--model", url, "a.png", "b.png", "-o", "f.png"),
        ("info", f"s3://{USER}:{PASSWORD}@bucket/x"), ("merge", f"s3://{USER}:{PASSWORD}@bucket/x"),
        ("build", "--split", "small", "--coco", f"s3://{USER}:{PASSWORD}@bucket/x"),
        ("info", f"gopher://{USER}:{PASSWORD}@h/x?{KEY}"),
    ):  # fmt: skip
        result = run(*words)
        assert result.exit_code in (1, 2), result.output
        assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """What is tiny takes longer with several."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("one_thread")
def test_a_training_and_what_it_leaves(url: str) -> None:
    settings = [word for setting in MODEL for word in ("--set", setting)]
    out = ("--out", "run", "--workers", 0, "--cpu", "--cache", "cache", "--cache-size", "1GB")
    words = ["train", "hf-seg", "--data", url, "--validation", url, *settings, *out]
    assert run(*words, "--show").exit_code == 0
    result = run(*words, "--steps", 2)
    assert result.exit_code == 0, result.output
    assert len(list(Path("cache").glob("*.tar"))) == 3
    pushed = run("zoo", "push", "run", "--repo", "a/b", "--license", "mit", "--dry-run")
    assert "would publish" in pushed.stdout
    assert "mfsynth train hf-seg --data 127.0.0.1:" in run("zoo", "info", "run", "--json").stdout
    document = Path("run/training.json")  # as an earlier release wrote it
    document.write_text(document.read_text().replace("--data ", "--data http://ann:password@"))
    refused = run("zoo", "push", "run", "--repo", "a/b", "--license", "mit", "--dry-run")
    assert refused.exit_code == 1
    assert "training.json holds a URL with a password" in refused.stderr


def test_the_command_that_an_evaluation_records() -> None:
    options = EvaluateOptions(("gff",), f"shards:http://{USER}:{PASSWORD}@h/sets/val?token={KEY}")
    assert " --data shards:val " in evaluate_command(options, Path("out"))


@pytest.mark.slow
def test_an_evaluation_and_what_it_leaves(url: str) -> None:
    words = ("--methods", "average,hf-seg", "--data", f"shards:{url}", "--limit", 2, "--workers", 1)
    result = run("evaluate", *words, "--out", "result")
    assert result.exit_code == 0, result.output
    assert "--data shards:127.0.0.1:" in Path("result/evaluation/hf-seg.json").read_text()


def test_the_interface_of_python(
    url: str, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    data = mfsynth.open(url)
    assert len(list(data.scenes())) == 18
    assert repr(data).startswith(f"<mfsynth data set http://{address}: ")
    with pytest.raises(mfsynth.OptionsError) as caught:
        data["no key"]
    with pytest.raises(mfsynth.ShardError) as absent:
        mfsynth.open(url.replace("?", "/none?"))
    for error in (caught.value, absent.value):
        assert "SECRET" not in f"{error!r} {error} {error.args}"
    assert any("HTTP Request" in line for line in caplog.messages)
    assert "SECRET" not in caplog.text


@pytest.mark.parametrize("protocol", ["http", "simplecache::http", "simplecache::ftp"])
def test_other_libraries_errors_are_scrubbed(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    location = f"{protocol}://{USER}:{PASSWORD.replace('/', '%2F')}@127.0.0.1:1/x?token={KEY}"
    with pytest.raises(mfsynth.ShardError, match=r"127\.0\.0\.1:1/x") as caught:
        storage.read(location, patience=storage.Patience(tries=1))
    assert "SECRET" not in f"{caught.value!r}"


def test_a_redirect_to_a_signed_url_is_not_shown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Redirecting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302 if self.path == "/a" else 403)
            self.send_header("Location", f"/b?X-Amz-Signature={KEY}")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    caplog.set_level(logging.INFO)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(mfsynth.ShardError, match="/a: the server answers 403") as caught:
            storage.read(f"http://127.0.0.1:{server.server_port}/a")
        server.shutdown()
    assert "SECRET" not in f"{caught.value!r} {caplog.text}"
