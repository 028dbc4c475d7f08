"""The worker processes of a running command, for tests that kill them."""

from __future__ import annotations

from pathlib import Path


def children(pid: int) -> list[int]:
    """The processes that a process started and that still run."""
    text = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children"))
    return [int(word) for word in text.split()]


def workers(pid: int) -> list[int]:
    """Its worker processes, without multiprocessing's helper."""
    return [child for child in children(pid) if b"spawn_main" in command_of(child)]


def command_of(pid: int) -> bytes:
    """A process's command line; empty if it has ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
