"""Whether a script that needs workers may be imported by them."""

from __future__ import annotations

import multiprocessing
import os
import sys
from contextlib import suppress
from pathlib import Path

from mfsynth.errors import BuildError

GUARD = 'put the call under `if __name__ == "__main__":`'
NAME = "mfsynth worker"
"""What our worker processes are called."""
UNGUARDED = 87
"""Exit code of a worker that reached a call for workers while it imported the script."""


def check_guard() -> None:
    """Check, before work that needs worker processes, that a script which calls for it has a guard.

    One of our workers that imports the script exits here, and its parent explains why.

    Raises:
        BuildError: If this script lacks the guard, or another library's worker is importing it.
    """
    if os.name != "posix":
        raise BuildError(f"mfsynth runs on Linux and macOS, not on {sys.platform}", "on Windows, use WSL")
    check_importing()
    check_script()


def check_importing() -> None:
    """Check that this is not a worker process that imports the script.

    Raises:
        BuildError: If another library's worker, such as a torch loader's, is importing the script.
    """
    process = multiprocessing.current_process()
    if not getattr(process, "_inheriting", False):  # what multiprocessing itself checks before it starts one
        return
    if process.name.startswith(NAME):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(UNGUARDED)
    raise BuildError("a worker process imported this script and would run it from the start", GUARD)


def check_script() -> None:
    """Check, where workers are about to be spawned, that they will not run the script up to here.

    Raises:
        BuildError: If this was called from the top of a script that has no guard of any kind.
    """
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or getattr(main, "__spec__", None) is not None:  # workers import neither -c nor notebooks
        return
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
    code = frame.f_code
    if frame.f_globals is not vars(main) or code.co_name != "<module>" or code.co_filename == "<stdin>":
        return
    with suppress(OSError):
        text = Path(path).read_text("utf-8", "replace")
        if not any(word in text for word in ("__main__", "parent_process", "current_process")):
            raise BuildError("worker processes would import this script and reach this call again", GUARD)


def failed_start(code: int) -> BuildError:
    """The error for a worker that exited before its first message; it would do so again."""
    if code == UNGUARDED:
        return BuildError("a worker process imported this script and reached the call that started it", GUARD)
    return BuildError(
        f"a worker exited while it was starting (exit code {code}); see its output above",
        f"if this is a script: {GUARD}",
    )
