"""`mfsynth.build` and `mfsynth.verify` as a script calls them: the same bytes, silent, and guarded."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Cli, tree

import mfsynth
from mfsynth.errors import OptionsError, OutputError, SourceError

GUARD = 'put the call under `if __name__ == "__main__":`'


def script(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a file of its own, as users do."""
    path = folder / "script.py"
    path.write_text(text)
    return subprocess.run(
        [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def test_build_makes_what_the_command_makes_and_says_nothing(
    small_coco: Path, small_pairs: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[tuple[int, int]] = []
    report = mfsynth.build(
        "small", coco=small_coco, out=tmp_path / "out", shards=3, variants=2, noise=(0, 0.1), workers=1,
        progress=lambda *now: told.append(now),
    )  # fmt: skip
    assert tree(tmp_path / "out") == tree(small_pairs)
    assert isinstance(report, mfsynth.BuildReport)
    assert (report.samples, report.shards, report.made, report.kept) == (18, 3, 3, 0)
    assert told[-1] == (18, 18)
    found = mfsynth.verify(str(tmp_path / "out"), samples=2, seed=5)
    assert isinstance(found, mfsynth.Verification)
    assert (found.ok, found.rendered, found.seed) == (True, 2, 5)
    assert capfd.readouterr() == ("", "")
    assert str(report).startswith("made 18 samples in 3 shards, ")
    assert str(found).startswith(f"{tmp_path / 'out'} is intact: 18 samples in 3 shards, ")


def test_build_takes_what_numpy_gives_and_names_nonsense(small_coco: Path, tmp_path: Path) -> None:
    import numpy as np

    made = mfsynth.build(
        "small", coco=str(small_coco), out=str(tmp_path / "out"), limit=np.int64(2), images=[3, 13]
    )
    assert made.samples == 2
    for content, message in (
        ({"sigma": 3}, "sigma is 3"),
        ({"noise": (1, 0)}, "--noise is"),
        ({"variants": 1.5}, "variants is 1.5"),
        ({"shards": -1}, "shards is -1"),
        ({"workers": -1}, "workers is -1"),
        ({"sigam": (1, 2)}, "there is no option 'sigam'"),
        ({"shards": 99}, "--shards 99 is more than"),
    ):
        with pytest.raises(OptionsError, match=message):
            mfsynth.build("small", coco=small_coco, out=tmp_path / "none", **content)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="there is no folder nowhere"):
        mfsynth.build("small", coco="nowhere", out=tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(OptionsError, match="samples is -1"):
        mfsynth.verify(tmp_path / "out", samples=-1)


def test_build_goes_to_a_folder_of_its_own_by_default(
    small_coco: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_coco)  # `small` is COCO's own folder here
    before = tree(small_coco / "small")
    monkeypatch.setattr("mfsynth.building.make.OUT", tmp_path / "out")
    assert mfsynth.build("small", coco=".", limit=2).out == tmp_path / "out" / "small"
    assert tree(small_coco / "small") == before


def test_build_makes_a_published_data_set_again(small_coco: Path, small_pairs: Path, tmp_path: Path) -> None:
    again = mfsynth.build("small", coco=small_coco, out=tmp_path / "out", like=small_pairs)
    assert again.samples == 18
    assert tree(tmp_path / "out") == tree(small_pairs)
    manifest = mfsynth.Manifest.read(small_pairs)
    for content in ({"seed": 5}, {"shards": 2}):
        with pytest.raises(
            OptionsError, match="like sets everything that decides content; give split='small'"
        ):
            mfsynth.build("small", coco=small_coco, out=tmp_path / "x", like=manifest, **content)  # type: ignore[arg-type]
    with pytest.raises(OptionsError, match="give split='small'"):
        mfsynth.build("other", coco=small_coco, out=tmp_path / "x", like=manifest)
    with pytest.raises(OutputError, match="holds another data set"):
        mfsynth.build("small", coco=small_coco, out=tmp_path / "out")


# --- a script without the guard: workers are spawned, so that they import it --------------------------


def test_a_script_without_the_guard_is_told_to_put_it(small_coco: Path, tmp_path: Path) -> None:
    done = script(
        tmp_path, f"import mfsynth\nprint(mfsynth.build('small', coco={str(small_coco)!r}, out='out'))\n"
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("Traceback") == 1  # the script's own, none of its workers'
    message = f"worker processes would import this script and reach this call again; {GUARD}"
    assert done.stderr.splitlines()[-1] == f"mfsynth.errors.BuildError: {message}"
    assert not (tmp_path / "out").exists()


def test_a_guard_that_does_not_guard_is_found_by_the_workers(small_coco: Path, tmp_path: Path) -> None:
    text = (
        f"import mfsynth\nif '__main__':\n    mfsynth.build('small', coco={str(small_coco)!r}, out='out')\n"
    )
    done = script(tmp_path, text)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1  # the script's own, none of its workers'
    assert done.stderr.splitlines()[-1].startswith(
        "mfsynth.errors.BuildError: a worker process imported this"
    )
    assert GUARD in done.stderr.splitlines()[-1]
    assert "memory" not in done.stderr


def test_verify_without_the_guard_is_told_too(small_pairs: Path, tmp_path: Path) -> None:
    text = f"""
import mfsynth
try:
    mfsynth.verify({str(small_pairs)!r})
except mfsynth.BuildError as error:
    print(error)
"""
    done = script(tmp_path, text)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith(f"{GUARD}\n")


def test_a_guarded_script_is_silent(small_coco: Path, tmp_path: Path) -> None:
    text = f"""
import mfsynth

if __name__ == "__main__":
    mfsynth.build("small", coco={str(small_coco)!r}, out="out", limit=3)
    mfsynth.verify("out")
"""
    done = script(tmp_path, text)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "out" / "manifest.json").exists()


def test_a_script_whose_import_fails_in_a_worker_is_not_called_short_of_memory(
    small_coco: Path, tmp_path: Path
) -> None:
    text = f"""
from pathlib import Path
import mfsynth
Path("work").mkdir()  # a worker's import of this finds it there, whatever __main__ is
mfsynth.build("small", coco={str(small_coco)!r}, out="out")
"""
    done = script(tmp_path, text)
    assert done.returncode == 1
    assert "FileExistsError" in done.stderr
    assert "a worker exited while it was starting (exit code 1); see its output above" in done.stderr
    assert GUARD in done.stderr


def test_a_loader_in_a_script_without_the_guard_is_told_to_put_it(small_pairs: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    text = f"""
import multiprocessing
multiprocessing.set_start_method("spawn", force=True)
import mfsynth
from torch.utils.data import DataLoader

stream = mfsynth.open({str(small_pairs)!r}).torch()
loader = DataLoader(stream, batch_size=None, num_workers=1)
stream.set_epoch(0)
for batch in loader:
    pass
"""
    done = script(tmp_path, text)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mfsynth.errors.BuildError: worker processes would import this script")
    assert GUARD in last


def test_repair_finds_coco_by_itself(cli: Cli, small_coco: Path, small_pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(small_pairs, tmp_path / "set")
    (tmp_path / "set" / "small-000001.tar").write_bytes(b"")
    run = cli("verify", tmp_path / "set", "--repair", env=os.environ | {"MFSYNTH_COCO": str(small_coco)})
    assert run.returncode == 0, run.stderr
    assert "rebuilt 1 of 3 shards" in run.stderr
    assert tree(tmp_path / "set") == tree(small_pairs)
