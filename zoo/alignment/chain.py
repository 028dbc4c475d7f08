"""Registering a stack of any length: each frame to its neighbors, then to a reference in the middle.

Neighbors in a focus stack look alike though its ends may share nothing sharp. The chain of neighbors
therefore says roughly where all frames lie; small errors add up along it. From there, each frame is
registered to more frames, near ones and the reference, as far as they look alike. All these pairs together
place the frames.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zoo.alignment.graph import chained, connected, solved
from zoo.alignment.pictures import check_frames
from zoo.alignment.search import Search
from zoo.alignment.similarity import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zoo.alignment.graph import Link
    from zoo.alignment.pictures import Frame
    from zoo.alignment.similarity import Similarity

_BRIDGE = 3
"""A frame is compared with so many before it, until it matches one."""

_SPREAD = (0.5, 0.0, 1.0, 0.25, 0.75)
"""Where in the stack a frame that matches none of those is looked for."""

_NEAR = (1, 2, 4)
"""The distances of the frames before it that a frame is registered to."""


@dataclass(frozen=True, slots=True)
class Registration:
    """Where the frames of a stack lie.

    Attributes:
        moves: By the frame's place in the stack, relative to the first frame among them; frames that could
            not be registered are missing. At least one.
        failed: Why each of the others could not be registered, by its place: what follows "the frame".
        drift: How far the chain of neighbors would be off without the other pairs, in pixels at a corner.
    """

    moves: Mapping[int, Similarity]
    failed: Mapping[int, str] = field(default_factory=dict)
    drift: float = 0.0


def register(
    frames: Sequence[Frame], *, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Registration:
    """Where each frame of a stack lies, relative to the first that could be registered.

    The number of registrations grows in proportion to the number of frames. Frames that match no other are
    named; if frames match in groups, the largest group stays.

    Args:
        frames: Of one size, H x W x 3 or H x W; uint8, uint16, or float32 in [0, 1]. Each is asked for
            several times, so that a sequence may make it anew, and few have to be held.
        progress: Called with the number of steps that are done and to do: two for each frame.

    Raises:
        FrameError: If there are no frames, they differ in shape or dtype, or are too small.
    """
    check_frames(frames)
    search, steps = Search(frames), 2 * len(frames)
    links: list[Link] = []
    textured: list[int] = []
    for number in range(len(frames)):
        if search.textured(number):
            links += search.match(number, textured[: -_BRIDGE - 1 : -1])
            textured.append(number)
        progress(number + 1, steps)
    members = _members(search, links, textured) or [0]
    reference = members[(len(members) - 1) // 2]
    guesses = chained(links, reference)
    for rank, number in enumerate(members):
        near = [members[rank - distance] for distance in _NEAR if distance <= rank]
        links += search.confirm(number, [*near, reference], guesses)
        progress(len(frames) + rank + 1, steps)
    progress(steps, steps)
    poses = solved([link for link in links if link.first in guesses], reference, *search.size)
    moves = {number: poses[number].relative_to(poses[members[0]]) for number in members[1:]}
    drift = max(guesses[each].relative_to(poses[each]).displacement(*search.size) for each in members)
    return Registration(
        {members[0]: IDENTITY} | {number: move.enlarged(search.factor) for number, move in moves.items()},
        {number: search.why_not(number) for number in range(len(frames)) if number not in members},
        drift * search.factor,
    )


def _members(search: Search, links: list[Link], textured: Sequence[int]) -> list[int]:
    """The largest group of frames that match, once each other group was looked for all over the stack."""
    main, *strays = connected(links, textured) or [[]]
    for stray in strays:
        spread = dict.fromkeys(main[round(share * (len(main) - 1))] for share in _SPREAD)
        links += search.match(stray[len(stray) // 2], list(spread))
    return connected(links, textured)[0] if textured else []
