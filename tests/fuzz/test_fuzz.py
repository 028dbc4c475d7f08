"""Spoiled files of every kind: each is refused by an error of ours, or read as what it is.

`make fuzz` runs the long form and prints how many files were refused, read as they should be, and read as
something else that the format allows.
"""

from __future__ import annotations

import faulthandler
import sys
from collections import Counter
from pathlib import Path

import pytest
from fuzz.guard import bounded
from fuzz.targets import TARGETS, Target
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mfsynth.errors import MfsynthError

SHORT, LONG = 40, 2500
"""Tries of each target. Hypothesis leaves out repeated ones, so the long form makes more than 2,000."""


class Case:
    """A spoiled file; its bytes are too many to be printed."""

    def __init__(self, number: int, data: bytes) -> None:
        self.number, self.data = number, data

    def __repr__(self) -> str:
        return f"<{len(self.data)} bytes, from seed {self.number}>"


@st.composite
def _cases(draw: st.DrawFn, target: Target) -> Case:
    number = draw(st.sampled_from(sorted(target.right)))
    return Case(number, draw(target.spoiled(target.whole[number])))


def fuzz(target: Target, tries: int) -> Counter[str]:
    """Try spoiled files; count what came of them."""
    counts: Counter[str] = Counter()

    @settings(
        max_examples=tries,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    @given(_cases(target))
    def attempt(case: Case) -> None:
        try:
            counts[_outcome(target, target.right[case.number], case.data)] += 1
        except BaseException as error:
            (target.folder / "spoiled").write_bytes(case.data)
            error.add_note(f"the smallest spoiled file is {target.folder / 'spoiled'}")
            raise

    faulthandler.dump_traceback_later(7200, exit=True, file=sys.__stderr__)
    try:
        attempt()
    finally:
        faulthandler.cancel_dump_traceback_later()
    return counts


def _outcome(target: Target, right: object, data: bytes) -> str:
    try:
        with bounded():
            found = target.read(data)
    except MfsynthError:
        assert target.may_refuse(), "a fault in one record costs the whole file"
        return "refused"
    if target.same(right, found):
        return "right"
    assert target.may_differ(right, found), "read as something else, without a word"
    return "other"


@pytest.mark.parametrize("name", TARGETS)
def test_a_spoiled_file_is_refused_or_right(name: str, tmp_path: Path) -> None:
    counts = fuzz(TARGETS[name](tmp_path), SHORT)
    assert counts["refused"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_many_spoiled_files_are_refused_or_right(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    counts = fuzz(TARGETS[name](tmp_path), LONG)
    with capsys.disabled():
        sys.stdout.write(
            f"\n{name}: {counts.total()} tried, "
            f"{counts['refused']} refused, {counts['right']} right, {counts['other']} other"
        )
    assert counts.total() >= 2000
