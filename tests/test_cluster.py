"""The example job scripts: what they run is what the command line takes, and makes one data set together."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Cli, tree

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "scripts" / "cluster"

sys.path.append(str(ROOT / "scripts"))
from parse_commands import parse_command  # noqa: E402

NOTE = '#!/bin/sh\necho "$(basename "$0")" "$@" >> "$NOTES"\necho "42;cluster"\n'


@pytest.fixture
def noted(tmp_path: Path) -> Any:
    """Runs a command in which `mfsynth` and `sbatch` only note how they are called; returns the lines."""
    for name in ("mfsynth", "sbatch"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(NOTE)
        program.chmod(0o755)

    def run(*command: object, **env: object) -> list[str]:
        notes = tmp_path / "notes"
        notes.write_text("")
        told = {name: str(value) for name, value in env.items()}
        path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
        subprocess.run(
            [str(word) for word in command],
            env={"HOME": str(tmp_path), "PATH": path, "NOTES": str(notes)} | told,
            cwd=tmp_path,
            check=True,
            timeout=30,
            capture_output=True,
        )
        return notes.read_text().splitlines()

    return run


def test_slurm_jobs_make_one_data_set(
    noted: Any, cli: Cli, small_coco: Path, small_pairs: Path, tmp_path: Path
) -> None:
    script = CLUSTER / "slurm.sh"
    out = tmp_path / "set"
    settings = {"SPLIT": "small", "COCO": small_coco, "OUT": out, "SHARDS": 3, "JOBS": 2}
    assert noted("bash", script, **settings) == [
        f"sbatch --parsable --array=0-1 {script} part",
        f"sbatch --dependency=afterok:42 {script} merge",
    ]
    jobs = [noted("bash", script, "part", **settings, SLURM_ARRAY_TASK_ID=number) for number in range(2)]
    jobs.append(noted("bash", script, "merge", **settings, SLURM_CPUS_PER_TASK=1))
    more = ["--variants", "2", "--noise", "0", "0.1"]  # as the fixture was made
    for [line] in jobs:
        words = shlex.split(line)[1:]
        run = cli(*words, *(more if words[0] == "build" else []))
        assert run.returncode == 0, run.stderr
    assert tree(out) == tree(small_pairs)


def test_slurm_shares_all_shards_out(noted: Any) -> None:
    ranges = []
    for number in range(7):
        for line in noted("bash", CLUSTER / "slurm.sh", "part", SHARDS=5, JOBS=7, SLURM_ARRAY_TASK_ID=number):
            words = shlex.split(line)
            ranges.append(words[words.index("--shard-range") + 1])
            parse_command(line)
    assert ranges == ["0:1", "1:2", "2:3", "3:4", "4:5"]


def test_kubernetes_jobs_run_what_the_command_line_takes(noted: Any) -> None:
    yaml = pytest.importorskip("yaml")
    parts, merge = yaml.safe_load_all((CLUSTER / "kubernetes.yaml").read_text())
    [build] = parts["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in build["env"]}
    jobs = parts["spec"]["completions"]
    assert (parts["spec"]["completionMode"], int(env["JOBS"])) == ("Indexed", jobs)
    stops = [0]
    for number in range(jobs):
        [line] = noted(*build["command"], *build["args"], **env, JOB_COMPLETION_INDEX=number)
        parse_command(line)
        words = shlex.split(line)
        first, stop = map(int, words[words.index("--shard-range") + 1].split(":"))
        assert first == stops[-1]
        stops.append(stop)
    assert stops[-1] == int(env["SHARDS"])
    assert merge["spec"]["suspend"]
    [sealing] = merge["spec"]["template"]["spec"]["containers"]
    parse_command(shlex.join(sealing["command"]))
    assert sealing["command"][2] == words[words.index("--out") + 1]
