"""`mfsynth` and `python -m mfsynth`: an interrupt is one line from the start, while commands are imported."""

from __future__ import annotations

import atexit
import os
import signal


def main() -> None:
    """Run the command line."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else a shell's `&` has it ignored
        signal.signal(signal.SIGINT, _leave)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # else one kills Python as it exits
    from mfsynth.cli import main as commands

    commands(prog_name="mfsynth")


def _leave(*_: object) -> None:
    """Nothing has begun, and an exception inside an import may come out as any other."""
    os.write(2, b"\nmfsynth: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
