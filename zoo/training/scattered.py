"""A reader's endless stream of crops: several of each scene, far apart, and resumable at any place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from zoo.training.crops import draws
from zoo.training.sources import Mixture

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from mfsynth.sample import Scene
    from zoo.training.options import TrainOptions
    from zoo.training.sources import Reader, Source

    Make = Callable[[Scene, TrainOptions, np.random.Generator, bool], "T"]
    """Makes a crop of a scene with the options and draws, knowing whether its recipe decides on a camera."""

T = TypeVar("T")
"""A crop, or what it will be made of."""


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a reader's stream.

    Attributes:
        drawn: Places of the stream that are over.
        places: Epoch and place in each source, before the first scene that is still needed.
    """

    drawn: int = 0
    places: list[list[int]] | None = None


START = Position()
"""Of a stream that nothing was taken from."""


class Scattered(Iterator[T], Generic[T]):
    """Crops of the scenes of a mixture, `options.windows` of each, in different minibatches.

    With W windows, every W places begin with a new scene, m: its crop, then one of scene m - d, one of scene
    m - 2 d and so on. So crops of a scene lie d W + 1 places apart, and a place says which scenes are still
    needed. In the beginning, scenes before the first leave their places empty, and crops lie closer. All
    crops of a scene are made when it is read, and wait for their places: they take less memory than pictures.

    Args:
        sources: The sources and their weights.
        options: Of the training.
        reader: Who reads.
        make: Makes a crop.
        position: An earlier `position`, to continue from.

    Raises:
        TrainingError: If the position is one in other sources.
    """

    def __init__(
        self,
        sources: list[tuple[Source, float]],
        options: TrainOptions,
        reader: Reader,
        make: Make[T],
        position: Position = START,
    ) -> None:
        self._options, self._reader, self._make = options, reader, make
        self._windows, self._apart = options.windows, -(-options.pairs // options.windows)
        self._mixture = Mixture(sources, options.seed, reader, position.places)
        self._waiting: dict[int, T] = {}
        self._before: dict[int, list[list[int]]] = {}
        self._place = position.drawn
        for number in range(self._first_needed(), -(-self._place // self._windows)):
            self._read(number)

    @property
    def position(self) -> Position:
        """The position of the stream now."""
        places = self._before.get(self._first_needed(), self._mixture.position)
        return Position(self._place, [list(each) for each in places])

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        """The next crop.

        Raises:
            TrainingError: If there is no scene for this reader, or a scene has no pair of frames.
        """
        while True:
            number, window = divmod(self._place, self._windows)
            if window == 0:
                self._read(number)
            crop = self._waiting.pop(self._place, None)
            self._place += 1
            if crop is not None:
                return crop

    def _first_needed(self) -> int:
        """The first scene whose last crop is still to come."""
        return max(0, self._place // self._windows - (self._windows - 1) * self._apart)

    def _read(self, number: int) -> None:
        """Read the scene with a number and make its crops that are still to come."""
        if self._windows > 1:
            self._before[number] = [list(each) for each in self._mixture.position]
            self._before.pop(self._first_needed() - 1, None)
        source, scene = self._mixture.next(number)
        for window in range(self._windows):
            place = (number + window * self._apart) * self._windows + window
            if place >= self._place:
                words = (number, window) if window else (number,)
                rng = draws("crop", self._options.seed, self._reader.number, *words)
                self._waiting[place] = self._make(scene, self._options, rng, source.captured)
