"""scripts/check_docs.py finds what a page says that is not so, and writes what is."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "check_docs.py"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


def check(page: Path, text: str, *options: str) -> tuple[int, str]:
    """The exit code, and what the script says of a page with this text."""
    page.write_text(dedent(text).replace("'''", "```"), "utf-8")
    done = subprocess.run(
        [sys.executable, SCRIPT, *options, page], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_page_that_says_what_is_so_passes(page: Path) -> None:
    text = """
    '''console
    $ mkdir there; echo three > there/file   # comments are the shell's
    $ cat there/file
    three
    $ echo one \\
    >   two
    one two
    $ seq 9
    1
    …
    8
    9
    '''

    '''python
    from pathlib import Path

    assert Path("there/file").read_text() == "three\\n"  # the page's blocks share a folder
    '''
    """
    assert check(page, text) == (0, "1 page, no problems\n")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("trained 60 steps in 1.7 minutes, PSNR 33.56 dB", "trained 60 steps in 12.4 minutes, PSNR 9 dB"),
        ("27.1 MB in 2 s, 12 samples/s (--seed 53455)", "1.0 MB in 31 s, 7 samples/s (--seed 7)"),
        ("commit 40ac7a5543a0f423f5e71f6b76662c902df4a5dd", "commit 0c1e2f4a5b"),
        ("     665,694  samples.png", "       1,024  samples.png"),
        ("loss 1.1e-05", "loss 0.25"),
    ],
)
def test_what_varies_may_differ(page: Path, said: str, shown: str) -> None:
    code, told = check(page, f"'''console\n$ echo '{said}'\n{shown}\n'''\n")
    assert code == 0, told


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("made 32 samples in 4 shards", "made 31 samples in 4 shards"),
        ("written to out/demo", "written to out/val"),
        ("one\ntwo", "one"),
        ("one", "one\ntwo"),
        ("one", ""),
        ("1\n2\n3\n4", "1\n…\n2\n4"),
        ("     665,694  samples.png", "     665,694  sheet.png"),
    ],
)
def test_a_lie_is_found_and_shown(page: Path, said: str, shown: str) -> None:
    words = shlex.join(said.splitlines())
    code, told = check(
        page, "\n".join(["text", "'''console", f"$ printf '%s\\n' {words}", *shown.splitlines(), "'''", ""])
    )
    assert code == 1
    assert "1 page, 1 problem\n" in told
    assert "--- the page\n+++ the command" in told


def test_a_command_that_fails_is_found_unless_it_is_meant_to(page: Path) -> None:
    block = "'''console\n$ echo no; false\nno\n'''\n"
    code, told = check(page, block)
    assert code == 1
    assert "exit code 1" in told
    assert check(page, "<!-- check: fails -->\n" + block)[0] == 0
    assert check(page, "<!-- check: fails -->\n'''console\n$ true\n'''\n")[0] == 1


def test_python_that_fails_is_found_by_the_line_of_the_page(page: Path) -> None:
    code, told = check(page, "one\n\n'''python\nx = 1\nprint(y)\n'''\n")
    assert code == 1
    assert 'page.py", line 5' in told
    assert "name 'y' is not defined" in told


def test_a_page_can_be_one_script(page: Path) -> None:
    blocks = "'''python\nx = 1\n'''\ntext\n'''python\nassert x == 2\n'''\n"
    code, told = check(page, "<!-- check: one script -->\n" + blocks)
    assert code == 1
    assert 'page.py", line 7' in told
    assert "AssertionError" in told


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("mfsynth build --split val2017 --shard-size 3", "No such option '--shard-size'"),
        ("mfsynth fuse near.jpg far.jpg", "Missing option '-o'"),
        ("mfsynth build --split val2017 --store recipes", "'recipes' is not one of"),
        ("mfsynth bild", "no command mfsynth bild"),
        ("mfsynth zoo pusch x", "no command mfsynth zoo pusch"),
        ("HF_HOME=x torchrun -m mfsynth train hf-seg --epoch 3", "No such option '--epoch'"),
        ("pip install '.[look]'", "no extra look"),
        ("python scripts/bench_sky.py", "no script scripts/bench_sky.py"),
        ("make dem", "no target dem"),
    ],
)
def test_what_only_parses_is_held_to_what_exists(page: Path, command: str, complaint: str) -> None:
    code, told = check(page, f"<!-- check: parse: takes hours -->\n'''console\n$ {command}\n'''\n")
    assert code == 1
    assert complaint in told


def test_what_only_parses_is_not_run(page: Path) -> None:
    text = """
    <!-- check: parse: takes hours -->
    '''console
    $ mfsynth build --split train2017 --out /nowhere/train2017
    $ mfsynth fuse --batch no-such-folder -o fused   # files need not exist
    $ accelerate launch --num_processes 4 -m mfsynth train hf-seg --data out --out runs/seg
    $ false
    '''

    <!-- check: parse: needs a bucket -->
    '''python
    import no_such_package
    '''
    """
    assert check(page, text) == (0, "1 page, no problems\n")
    code, told = check(page, "<!-- check: parse: no -->\n'''python\nfor x in\n'''\n")
    assert code == 1
    assert "invalid syntax" in told


def test_installing_is_refused(page: Path) -> None:
    code, told = check(page, "'''console\n$ pip install nothing\n'''\n")
    assert code == 1
    assert "check: parse" in told


def test_hidden_commands_run_and_must_not_fail(page: Path) -> None:
    block = "'''console\n$ cat x\n1\n'''\n"
    assert check(page, "<!-- check: setup echo 1 > x -->\n" + block)[0] == 0
    assert check(page, "<!-- check: setup exit 3 -->\n")[0] == 1


def test_update_writes_what_is_so_and_nothing_else(page: Path) -> None:
    text = """
    <!-- check: setup echo hidden -->
    '''console
    $ echo in 3.1 s
    in 9.2 s
    $ seq 7
    1
    …
    6
    8
    $ ls -d .
    '''
    """
    code, told = check(page, text, "--update")
    assert code == 0, told
    assert page.read_text("utf-8") == dedent(text).replace("'''", "```").replace("8\n", "7\n").replace(
        "-d .", "-d .\n."
    )
    assert check(page, page.read_text("utf-8"))[0] == 0


def test_update_does_not_write_down_a_failure(page: Path) -> None:
    text = "'''console\n$ echo no; false\nyes\n'''\n"
    assert check(page, text, "--update")[0] == 1
    assert page.read_text("utf-8") == text.replace("'''", "```")


def test_pages_talk_to_a_hub_of_their_own(page: Path) -> None:
    text = """
    '''console
    $ python -c "from huggingface_hub import HfApi; print(HfApi().create_repo('you/x'))"
    https://huggingface.co/you/x
    '''
    """
    code, told = check(page, text)
    assert code == 0, told


def test_the_reference_has_every_public_name() -> None:
    import mfsynth
    import zoo

    for package in (mfsynth, zoo):
        page = SCRIPT.parents[1] / "docs" / "reference" / f"{package.__name__}.md"
        listed = re.findall(rf"^::: {package.__name__}\.(\w+)$", page.read_text("utf-8"), re.MULTILINE)
        assert set(listed) >= set(package.__all__)
