"""What shards are made from, and how two such origins differ, in words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import cv2

from mfsynth import schema
from mfsynth.options import BuildOptions
from mfsynth.shards.manifest import Inputs
from mfsynth.version import CONTENT_RELEASE, __version__, same_content

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True)
class Origin:
    """What decides the bytes of a data set: options, fingerprints of the inputs, versions of packages."""

    options: dict[str, Any]
    inputs: Inputs
    packages: dict[str, str]

    def makes_the_same(self, other: Origin) -> bool:
        """Whether the other makes the same bytes."""
        return not (list(differences(self, other)) or _version_pairs(self.packages, other.packages))


def packages(options: BuildOptions) -> dict[str, str]:
    """Versions of the packages that decide pixels and bytes."""
    names = ["numpy", "isal", "pyspng", "simplejpeg"] + (
        ["pycocotools"] if options.masks == "instances" else []
    )
    return {"mfsynth": __version__, "opencv": cv2.__version__} | {name: version(name) for name in names}


def differences(
    there: Origin,
    now: Origin,
    files: Sequence[str] = (),
    *,
    there_is: str = "there",
    now_is: str = "requested",
) -> Iterator[str]:
    """Each difference in options and inputs, in words.

    Args:
        there: What there is.
        now: What it is compared with.
        files: Differences of single files, if they are known; else only their kinds are named.
        there_is, now_is: What to call the two.
    """
    old, new = _whole(there.options), _whole(now.options)
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            yield f"{name}: {_plain(old.get(name))} {there_is}, {_plain(new.get(name))} {now_is}"
    if there.inputs.annotations_sha256 != now.inputs.annotations_sha256:
        yield f"content of {now.inputs.annotations}"
    yield from files
    if not files:
        for what in ("pictures", "masks", "depth_maps"):
            if getattr(there.inputs, what) != getattr(now.inputs, what):
                yield f"names and sizes of the {what.replace('_', ' ')}"


def version_differences(there: Origin, now: Origin, *, there_is: str, now_is: str) -> Iterator[str]:
    """Each package whose versions may make other bytes, in words."""
    for name, old, new in _version_pairs(there.packages, now.packages):
        yield f"{name}: {old} {there_is}, {new} {now_is}"


def version_changes(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """Packages whose versions may make other bytes, such as "numpy 2.4.6 (was 2.3.0)"."""
    return [f"{name} {new} (was {old})" for name, old, new in _version_pairs(then, now)]


def other_bytes(then: dict[str, str], now: dict[str, str]) -> str:
    """What to say about package versions that differ; empty if none do."""
    changes = version_changes(then, now)
    return f"other versions may store the same pixels in other bytes: {', '.join(changes)}" if changes else ""


def _version_pairs(then: dict[str, str], now: dict[str, str]) -> list[tuple[str, str, str]]:
    """Name, old and new version of each package that may make other bytes."""
    old, new = _versions(then), _versions(now)
    return [
        (name, then.get(name, "none"), now.get(name, "none"))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def _versions(packages: dict[str, str]) -> dict[str, str]:
    """Package versions; releases of mfsynth that make the same bytes count as one."""
    release = packages.get("mfsynth", "")
    return packages | {"mfsynth": CONTENT_RELEASE if same_content(release) else release}


def _whole(options: dict[str, Any]) -> dict[str, Any]:
    """Options, with defaults for those that an older release did not know."""
    return schema.defaults(BuildOptions) | options


def _plain(value: object) -> str:
    return "none" if value is None else json.dumps(value)
