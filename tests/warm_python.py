"""A Python that has imported what commands need, and forks for each: no test waits for imports again.

It has not imported huggingface_hub, which reads its settings on import: each fork does so in the environment
that it is given. A fork runs what `python -m MODULE …` or `python -c CODE` would.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal


class WarmPython:
    """Runs commands one at a time, each in a fork with its own environment, folder and process group.

    Args:
        imported: `mfsynth`, or `zoo` with torch.
    """

    def __init__(self, imported: Literal["mfsynth", "zoo"]) -> None:
        self._server = subprocess.Popen(
            [sys.executable, __file__, imported], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, **command: Any) -> subprocess.CompletedProcess[str]:
        """As `subprocess.run` with captured output; takes what `started` takes."""
        with self.started(**command) as started:
            return started.finished()

    @contextmanager
    def started(
        self, *, module: str = "", code: str = "", args: tuple[str, ...] = (), env: dict[str, str], cwd: Path
    ) -> Iterator[Started]:
        """Run a command meanwhile; it is killed, with its workers, if the block does not wait for its end."""
        with TemporaryDirectory() as folder:
            streams = [str(Path(folder) / name) for name in ("out", "err")]
            job = {"module": module, "code": code, "args": args, "env": env, "cwd": str(cwd)}
            command = Started(self._server, job | {"streams": streams})
            try:
                yield command
            finally:
                command.end()

    def close(self) -> None:
        """End it."""
        self._server.communicate()


class Started:
    """A command in a fork.

    Attributes:
        pid: Its process id, and that of its process group.
    """

    def __init__(self, server: subprocess.Popen[str], job: dict[str, Any]) -> None:
        self._server, self._job = server, job
        self._done: subprocess.CompletedProcess[str] | None = None
        assert server.stdin
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        self.pid = self._answer()

    def _answer(self) -> int:
        assert self._server.stdout
        return int(self._server.stdout.readline())

    def is_at_work(self) -> bool:
        """Whether it has not ended."""
        return Path(f"/proc/{self.pid}").exists()

    def finished(self) -> subprocess.CompletedProcess[str]:
        """Wait for its end."""
        if self._done is None:
            words = [self._job["module"] or self._job["code"], *self._job["args"]]
            status = self._answer()
            out, err = (Path(stream).read_text() for stream in self._job["streams"])
            self._done = subprocess.CompletedProcess(words, status, out, err)
        return self._done

    def end(self) -> None:
        """Kill it if it is still at work."""
        if self._done is None:
            os.killpg(self.pid, signal.SIGKILL)
            self.finished()


def _serve(imported: str) -> None:
    _import_mfsynth()
    if imported == "zoo":
        _import_zoo()
    assert "huggingface_hub" not in sys.modules, "it would keep the settings of this process"
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.setpgid(0, 0)
            _answer(os.getpid())
            _run(json.loads(line))
        _answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _answer(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _import_mfsynth() -> None:
    import cv2

    cv2.setNumThreads(0)  # threads do not survive a fork
    import jinja2
    import matplotlib.figure
    import mlcroissant

    import mfsynth.building.run
    import mfsynth.flags
    import mfsynth.verification

    assert jinja2
    assert matplotlib.figure
    assert mfsynth.flags
    assert mlcroissant


def _import_zoo() -> None:
    import torch

    torch.set_num_threads(1)
    import PIL.Image  # noqa: F401
    import scipy.stats
    import torch._dynamo  # every optimizer does
    import torch.utils.tensorboard

    import zoo.metrics
    from zoo.publishing.example import known_pair
    from zoo.training import loop

    known_pair()
    assert loop
    assert scipy.stats
    assert zoo.metrics


def _run(job: dict[str, Any]) -> None:
    """Run a command in this fork, and leave."""
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    for stream, path in zip((sys.stdout, sys.stderr), job["streams"], strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream.fileno())
    os.dup2(os.open(os.devnull, os.O_RDONLY), sys.stdin.fileno())
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job in the background ignores it
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
    _serve(sys.argv[1])
