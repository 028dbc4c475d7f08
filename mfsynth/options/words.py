"""Options as words of a command line."""

from __future__ import annotations

from typing import Any

SELECTION = "ids.txt"
"""Name of the file of image ids in a command."""
DEPTH = "depth"
"""Name of the folder of depth maps in a command."""


def option_words(name: str, value: Any) -> list[str]:
    """One option of a build, as `mfsynth build` takes it.

    >>> option_words("noise", (0, 0.1)), option_words("licenses", (4, 5))
    (['--noise', '0', '0.1'], ['--licenses', '4,5'])
    >>> option_words("depth", "far")
    ['--depth', 'depth', '--depth-far-is-large']
    """
    if name == "depth":
        return ["--depth", DEPTH, *(["--depth-far-is-large"] if value == "far" else [])]
    return [f"--{name.replace('_', '-')}", *_values(name, value)]


def _values(name: str, value: Any) -> list[str]:
    if name == "images":
        return [SELECTION]
    if name == "licenses":
        return [",".join(map(str, value))]
    return [str(each) for each in value] if isinstance(value, tuple) else [str(value)]
