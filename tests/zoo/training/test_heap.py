"""Memory that is freed, and used again."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
from zoo.training.heap import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        one, other = b"1" * (48 << 20), b"2" * (48 << 20)
        del one, other
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
done = keep_freed_memory()
faults()
print(done, given_back, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_pages_of_large_arrays_are_used_again() -> None:
    """Each page that the system must clear is a fault; 96 MB have 24,576, or 48 huge ones."""
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    done, given_back, kept = ran.stdout.split()
    assert done == "True"
    assert int(kept) < 100 < int(given_back)


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo.training.heap import keep_freed_memory

    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
