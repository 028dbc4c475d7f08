"""PNGs: the same bytes for the same pixels."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest

from mfsynth import codecs


def label_maps() -> list[np.ndarray]:
    """Maps whose first bytes hash to many different places of a compressor's table."""
    maps = [np.full((16, 24), value, np.uint8) for value in range(256)]
    for value, labels in enumerate(maps):
        labels[5:10, 6:18] = (value + 7) % 256
    return maps


def test_equal_maps_are_equal_bytes_wherever_a_thread_has_its_memory() -> None:
    """A compressor that reads memory or a register that it never set depends on addresses.

    Each thread has a stack and, thanks to what stays allocated, a heap at addresses of its own.
    """
    maps, threads = label_maps(), 200
    together = threading.Barrier(threads)
    found: list[tuple[bytes, ...]] = []
    kept = []

    def encode() -> None:
        together.wait()
        kept.append(bytearray(1 << 16))
        found.append(tuple(map(codecs.encode_png, maps)))

    running = [threading.Thread(target=encode) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert len(found) == threads
    assert len(set(found)) == 1


PROCESS = """
import hashlib
import numpy as np
from mfsynth.codecs.png import encode_png
maps = [np.full((64, 64), value, np.uint8) for value in range(256)]
for value, labels in enumerate(maps):
    labels[20:40, 10:50] = (value + 7) % 256
print(hashlib.sha256(b"".join(map(encode_png, maps))).hexdigest())
"""


@pytest.mark.parametrize("processes", [4, pytest.param(150, marks=pytest.mark.slow)])
def test_equal_maps_are_equal_bytes_in_every_process(processes: int) -> None:
    command = [sys.executable, "-c", PROCESS]
    outcomes = {subprocess.check_output(command) for _ in range(processes)}
    assert len(outcomes) == 1
