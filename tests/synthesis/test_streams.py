"""Streams of random words are NumPy's Philox, however many are taken at a time, and in whatever order."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mfsynth.synthesis.streams import Stream, stream

KEYS = st.binary(min_size=16, max_size=16)
TAKEN = st.lists(st.none() | st.integers(0, 50), max_size=30)


def philox(key: bytes) -> np.random.Philox:
    return np.random.Philox(key=int.from_bytes(key, "little"))


@given(KEYS, TAKEN)
def test_words_are_those_of_philox(key: bytes, taken: list[int | None]) -> None:
    ours, numpys = Stream(key), philox(key)
    for size in taken:
        assert np.array_equal(ours.random_raw(size), numpys.random_raw(size))  # type: ignore[call-overload]


@given(st.lists(KEYS, min_size=2, max_size=4), st.lists(st.integers(0, 3), max_size=60))
def test_streams_do_not_disturb_each_other(keys: list[bytes], turns: list[int]) -> None:
    ours, numpys = [Stream(key) for key in keys], [philox(key) for key in keys]
    for turn in turns:
        place = turn % len(keys)
        assert ours[place].random_raw(7).tolist() == numpys[place].random_raw(7).tolist()


def test_threads_have_streams_of_their_own() -> None:
    keys = [bytes([number] * 16) for number in range(40)]

    def drawn(key: bytes) -> list[int]:
        words = Stream(key)
        return [words.random_raw() for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(drawn, keys)) == [philox(key).random_raw(500).tolist() for key in keys]


def test_a_stream_is_named_by_its_purpose_and_sample() -> None:
    key = hashlib.sha256(b"mfsynth 1 blur 7 139 2").digest()[:16]
    assert stream("blur", 7, 139, 2).random_raw(5).tolist() == philox(key).random_raw(5).tolist()
