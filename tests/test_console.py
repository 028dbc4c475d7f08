"""What commands print: nothing that could drive a terminal, whatever files and documents are called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import Cli
from hypothesis import given
from hypothesis import strategies as st

from mfsynth.cli import main
from mfsynth.console import Commands, Output, printable
from mfsynth.errors import ShardError

HOSTILE = "a\x1b]0;owned\x07\u202egnp.\x9b2J\r\nmfsynth: all is well"


def harmless(text: str | bytes) -> bool:
    """Whether a text has only lines: no control characters, nothing that turns the direction of writing."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    return all(
        each == "\n" or (unicodedata.category(each) not in ("Cc", "Zl", "Zp") and ord(each) not in DIRECTIONS)
        for each in text
    )


DIRECTIONS = {
    code for code in range(0x110000)
    if unicodedata.bidirectional(chr(code)) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
}  # fmt: skip


@given(st.text())
def test_a_printable_line_is_one_harmless_line(text: str) -> None:
    assert harmless(printable(text))
    assert "\n" not in printable(text)
    assert printable(printable(text)) == printable(text)


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_words_of_any_language_stay(text: str) -> None:
    assert printable(text) == text


@dataclass
class Said:
    def lines(self) -> list[str]:
        return ["first", HOSTILE]

    def to_json(self) -> object:
        return {"name": HOSTILE}


def test_everything_that_a_command_can_say() -> None:
    @click.group(cls=Commands)
    def group() -> None: ...

    @group.command()
    @click.option("--json", "as_json", is_flag=True)
    @click.option("--broken", is_flag=True)
    def say(as_json: bool, broken: bool) -> None:
        output = Output(as_json=as_json)
        output.say(HOSTILE)
        output.show(Said())
        if broken:
            raise ShardError(HOSTILE, HOSTILE)
        output.fail({HOSTILE: HOSTILE})

    for words in ((), ("--json",), ("--broken",), (HOSTILE,)):
        result = CliRunner().invoke(group, ["say", *words])
        assert harmless(result.stdout_bytes), result.stdout
        assert harmless(result.stderr_bytes), result.stderr
        assert not any(line == "mfsynth: all is well" for line in result.output.splitlines())
    said, told = (CliRunner().invoke(group, ["say", *words]).stdout for words in ((), ("--json",)))
    assert said.startswith("first\na\\x1b]0;owned\\x07\\u202egnp.\\x9b2J\\x0d\\x0amfsynth: all is well\n")
    assert json.loads(told) == {"name": HOSTILE}


def test_a_hostile_manifest_is_shown_harmlessly(small_pairs: Path, tmp_path: Path) -> None:
    manifest = json.loads((small_pairs / "manifest.json").read_text())
    manifest["packages"][HOSTILE] = HOSTILE
    manifest["licenses"] = [{"id": 1, "name": HOSTILE, "url": "", "samples": 18}]
    folder = tmp_path / HOSTILE.replace("/", "")
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    sheet = ("-o", tmp_path / "x.png")
    commands = [(name, folder) for name in ("info", "stats", "verify")]
    for words in (*commands, ("preview", folder, *sheet), ("info", folder / HOSTILE)):
        result = CliRunner().invoke(main, [*map(str, words)])
        assert harmless(result.stdout_bytes), result.stdout
        assert harmless(result.stderr_bytes), result.stderr
    assert "owned" in CliRunner().invoke(main, ["info", str(folder)]).stdout


def test_bars_and_warnings_are_harmless(tmp_path: Path) -> None:
    code = "import sys, logging; from mfsynth.console import Output, log_printable; log_printable()\n"
    code += "name = sys.argv[1]\nlogging.getLogger('x').warning('%s: late', name)\n"
    code += "sys.stderr.isatty = lambda: True\nwith Output().archive_bars() as bar: bar(name, 1, 2)\n"
    done = subprocess.run([sys.executable, "-c", code, HOSTILE], capture_output=True, check=True)
    assert b"late" in done.stderr
    assert b"1.00/2.00" in done.stderr
    assert harmless(done.stderr.replace(b"\r", b"").replace(b"\x1b[A", b""))


def test_bytes_that_are_not_utf_8_are_printed_as_they_are(cli: Cli, tmp_path: Path) -> None:
    done = subprocess.run(
        [os.fsencode(sys.executable), b"-m", b"mfsynth", b"info", os.fsencode(tmp_path) + b"/\xff\x9b2J"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert b"/\xff\\x9b2J/manifest.json is not there" in done.stderr


def test_networks_are_pulled_into_local_folders_only() -> None:
    result = CliRunner().invoke(main, ["zoo", "pull", "x", "-o", "ftp://ann:secret@h/x"])
    assert result.exit_code == 2
    assert "ftp://h/x is a URL" in result.stderr


@pytest.mark.parametrize("words", ["publish --repo a/b", "verify", "build --split demo --out"])
def test_a_server_that_is_not_there_is_named_without_its_password(words: str) -> None:
    result = CliRunner().invoke(main, [*words.split(), "ftp://ann:secret@127.0.0.1:1/x"])
    assert result.exit_code == 1
    assert "ftp://127.0.0.1:1/x" in result.stderr
    assert "secret" not in result.output


def test_local_folders_may_be_given_as_file_urls(small_pairs: Path, tmp_path: Path) -> None:
    copy = tmp_path / "my set"
    shutil.copytree(small_pairs, copy)
    for words in ("info", "stats", "publish --repo a/b --accept-licenses --dry-run"):
        result = CliRunner().invoke(main, [*words.split(), copy.as_uri()])
        assert result.exit_code == 0, result.output
