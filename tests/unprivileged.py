"""Lets a test's process be bound by file permissions, even where tests run as root."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DROP_FROM_BOUNDING_SET = 24  # prctl's PR_CAPBSET_DROP
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2


def obey_permissions() -> None:
    """For `preexec_fn`: root's program, once started, may not pass over file permissions."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            if libc.prctl(_DROP_FROM_BOUNDING_SET, capability):
                raise OSError(ctypes.get_errno(), "root without CAP_SETPCAP cannot lay down its powers")


@contextmanager
def mode(bits: int, *paths: Path) -> Iterator[None]:
    """Files or folders with other permissions while the block runs."""
    before = [(path, path.stat().st_mode) for path in paths]
    for path in reversed(paths):
        path.chmod(bits)
    try:
        yield
    finally:
        for path, old in before:
            path.chmod(old)
