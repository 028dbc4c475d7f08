"""A Python that has imported torch and the zoo, and forks for every command: no test waits for imports again.

It has not imported huggingface_hub, which reads its settings on import: each fork does so in the environment
that it is given. A fork runs what `python -m MODULE …` or `python -c CODE` would.
"""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


class WarmPython:
    """Runs commands one at a time, each in a fork with its own environment and folder."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self, *, module: str = "", code: str = "", args: tuple[str, ...] = (), env: dict[str, str], cwd: Path
    ) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with captured output."""
        assert self._server.stdin
        assert self._server.stdout
        with TemporaryDirectory() as folder:
            streams = [str(Path(folder) / name) for name in ("out", "err")]
            job = {"module": module, "code": code, "args": args, "env": env, "cwd": str(cwd)}
            self._server.stdin.write(json.dumps(job | {"streams": streams}) + "\n")
            self._server.stdin.flush()
            status = int(self._server.stdout.readline())
            out, err = (Path(stream).read_text() for stream in streams)
        return subprocess.CompletedProcess([module or code, *args], status, out, err)

    def close(self) -> None:
        """End it."""
        self._server.communicate()


def _serve() -> None:
    _warm_up()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _run(json.loads(line))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{status}\n")
        sys.stdout.flush()


def _warm_up() -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(0)  # threads do not survive a fork
    import jinja2
    import PIL.Image  # noqa: F401

    import zoo.metrics
    from zoo.publishing.example import known_pair
    from zoo.training import presets  # noqa: F401

    known_pair()
    assert jinja2
    assert zoo.metrics
    assert "huggingface_hub" not in sys.modules, "it would keep the settings of this process"


def _run(job: dict[str, Any]) -> None:
    """Run a command in this fork, and leave."""
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    for stream, path in zip((sys.stdout, sys.stderr), job["streams"], strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    status = 0
    try:
        sys.argv = [job["module"] or "-c", *job["args"]]
        sys.path[:1] = [job["cwd"], *filter(None, job["env"].get("PYTHONPATH", "").split(os.pathsep))]
        if job["module"]:
            runpy.run_module(job["module"], run_name="__main__", alter_sys=True)
        else:
            exec(compile(job["code"], "<command>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as Python itself does with what nothing catches
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _serve()
