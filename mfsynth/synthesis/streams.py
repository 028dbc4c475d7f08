"""The random streams that a sample is drawn from: raw Philox words, a few at a time."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, overload

import numpy as np

from mfsynth.order import stream_key

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

_BLOCK = 4
"""Words of a Philox counter."""
_AHEAD = 8
"""Blocks that are drawn at once: most streams need no more."""
_NOTHING = np.empty(0, np.uint64)
_CLEAR = np.zeros(_BLOCK, np.uint64)


class Stream:
    """The words that `np.random.Philox(key=key).random_raw` gives, in the same order.

    Making a bit generator takes as long as drawing a hundred words. So each thread keeps one, which is set to
    the key and the place of the stream whose words are wanted.

    Args:
        key: 16 bytes.
    """

    __slots__ = ("_blocks", "_key", "_next", "_words")

    def __init__(self, key: bytes) -> None:
        self._key = np.frombuffer(key, "<u8").astype(np.uint64, copy=False)
        self._blocks = self._next = 0
        self._words = _NOTHING

    @overload
    def random_raw(self) -> int: ...
    @overload
    def random_raw(self, size: int) -> Words: ...
    def random_raw(self, size: int | None = None) -> int | Words:
        """The next word, or an array of that many."""
        count = 1 if size is None else size
        if self._next + count > len(self._words):
            self._draw(count)
        start, self._next = self._next, self._next + count
        return int(self._words[start]) if size is None else self._words[start : self._next]

    def _draw(self, count: int) -> None:
        """Draw at least that many more words than are left."""
        left = self._words[self._next :]
        blocks = max(_AHEAD, -(-(count - len(left)) // _BLOCK))
        drawn = _drawn(self._key, self._blocks, blocks)
        self._words = np.concatenate([left, drawn]) if len(left) else drawn
        self._next, self._blocks = 0, self._blocks + blocks


def stream(purpose: str, seed: int, image_id: int, variant: int) -> Stream:
    """The random stream of one purpose of one sample."""
    return Stream(stream_key("mfsynth 1", purpose, seed, image_id, variant))


_kept = threading.local()


def _drawn(key: Words, first: int, blocks: int) -> Words:
    """The words of some counters, from that number on."""
    if not hasattr(_kept, "philox"):
        _kept.philox = np.random.Philox(key=0)
    philox: np.random.Philox = _kept.philox
    philox.state = {
        "bit_generator": "Philox",
        "state": {"counter": np.array([first, 0, 0, 0], np.uint64), "key": key},
        "buffer": _CLEAR,
        "buffer_pos": _BLOCK,
        "has_uint32": 0,
        "uinteger": 0,
    }
    return philox.random_raw(blocks * _BLOCK)
