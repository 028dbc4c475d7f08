"""A network's graph, run by a runtime, as fusion asks it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from zoo.fusing.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zoo.backends.session import Runtime, Session
    from zoo.fusing.runner import Map
    from zoo.fusing.tiles import Window
    from zoo.networks import Config


class GraphRunner(Runner):
    """Runs a network's graph.

    Args:
        config: The network's.
        backend: What runs the graph.
        precision: What it computes in.
        open_graph: Opens it, when it is first needed.
        open_pair: Of a network for sets, opens a graph that takes two frames only; see
            `zoo.graphs.focus_set.focus_pair`. None if there is none.
    """

    all_at_once = True

    def __init__(
        self,
        config: Config,
        backend: Runtime,
        precision: str,
        open_graph: Callable[[], Session],
        open_pair: Callable[[], Session] | None = None,
    ) -> None:
        self._config, self.backend, self._precision = config, backend, precision
        self._open, self._open_pair = open_graph, open_pair

    @property
    def config(self) -> Config:
        """The network's."""
        return self._config

    @property
    def precision(self) -> str:
        """What it computes in."""
        return self._precision

    @cached_property
    def _any(self) -> Session:
        return self._open()

    @cached_property
    def _pair(self) -> Session | None:
        return self._open_pair and self._open_pair()

    def pair(self, a: Map, b: Map) -> Map:
        """See `Runner`."""
        if self._config.sets:
            one, other = self.scores([a, b], (slice(None), slice(None)))
            return (one - other)[None]
        said: Map = self._any({"a": _planes([a]), "b": _planes([b])})[0]
        return said

    def scores(self, frames: Iterable[Map], wanted: Window) -> list[Map]:
        """See `Runner`; all frames are seen at once."""
        taken = [*frames]
        if len(taken) == 2 and self._pair:
            whole = [_whole(frame, self._config.stride) for frame in taken]
            height, width = taken[0].shape[:2]
            score = self._pair({"a": _planes(whole[:1]), "b": _planes(whole[1:])})[0, 0, :height, :width]
            return [score[wanted], -score[wanted]]
        return [each[wanted] for each in self._any({"frames": _planes(taken)})]


def _whole(frame: Map, side: int) -> Map:
    """Extended below and on the right to multiples of a side, by mirroring at the border pixels."""
    below, beside = (-size % side for size in frame.shape[:2])
    return np.asarray(cv2.copyMakeBorder(frame, 0, below, 0, beside, cv2.BORDER_REFLECT_101), np.float32)


def _planes(frames: list[Map]) -> Map:
    """N x 3 x H x W."""
    planes = np.empty((len(frames), 3, *frames[0].shape[:2]), np.float32)
    for plane, frame in zip(planes, frames, strict=True):
        plane[:] = frame.transpose(2, 0, 1) if frame.ndim == 3 else frame
    return planes
