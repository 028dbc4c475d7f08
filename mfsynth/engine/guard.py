"""Whether a script that needs workers may be imported by them."""

from __future__ import annotations

import multiprocessing
import os
import sys

from mfsynth.errors import BuildError

GUARD = 'put the call under `if __name__ == "__main__":`'
NAME = "mfsynth worker"
"""What our worker processes are called."""
UNGUARDED = 87
"""Exit code of a worker that reached a call for workers while it imported the script."""


def check_guard() -> None:
    """Check, before work that needs worker processes, that this is not a worker importing the script.

    One of our workers exits here, and its parent explains why.

    Raises:
        BuildError: If another library's worker, such as a torch loader's, is importing the script.
    """
    if os.name != "posix":
        raise BuildError(f"mfsynth runs on Linux and macOS, not on {sys.platform}", "on Windows, use WSL")
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):  # what multiprocessing itself checks before it starts one
        return
    if process.name.startswith(NAME):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(UNGUARDED)
    raise BuildError("a worker process imported this script and would run it from the start", GUARD)


def failed_start(code: int) -> BuildError:
    """The error for a worker that exited before its first message; it would do so again."""
    if code == UNGUARDED:
        return BuildError("a worker process imported this script and reached the call that started it", GUARD)
    return BuildError(
        f"a worker exited while it was starting (exit code {code}); see its output above",
        f"if this is a script: {GUARD}",
    )
