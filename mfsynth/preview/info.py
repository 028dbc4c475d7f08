"""What a data set is, read from its manifest."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from mfsynth.coco import exclusions, notes
from mfsynth.console import count
from mfsynth.locations import shown
from mfsynth.options import BuildOptions
from mfsynth.shards.manifest import Manifest, data_set_at

if TYPE_CHECKING:
    import os

    from mfsynth.shards.manifest import LicenseCount


@dataclass(frozen=True, slots=True)
class DataSetInfo:
    """What a data set is.

    Attributes:
        location: Its folder, as a local path or URL.
        split: Its split's name.
        samples: In all shards.
        shards: Number of shards.
        bytes: Size of all shards.
        store: `pairs` or `recipe`.
        frames: Frames of each sample.
        frame_format: Of stored frames, `png` or `jpg`; empty where frames are rendered on reading.
        targets: Whether samples have `nearest` and `certain`; if not, some frame is always right.
        options: The options that decided its content and differ from their defaults, by name.
        packages: Versions of the packages that affect pixels and bytes, by name.
        licenses: Licenses of the pictures, and the number of samples under each.
        left_out: Images left out, by reason.
        skipped: Records of the annotations that were skipped without leaving out an image, by reason.
        noted: Images that are used, but not quite as they are, by code.
    """

    location: str
    split: str
    samples: int
    shards: int
    bytes: int
    store: str
    frames: int
    frame_format: str
    targets: bool
    options: dict[str, Any]
    packages: dict[str, str]
    licenses: tuple[LicenseCount, ...]
    left_out: dict[str, int]
    skipped: dict[str, int]
    noted: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return asdict(self)

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """In words."""
        stored = f"stored as {self.frame_format}" if self.frame_format else "rendered on reading"
        stored += ", with the targets nearest and certain" if self.targets else ""
        amount = f"{count(self.samples, 'sample')} in {count(self.shards, 'shard')}"
        options = ", ".join(
            f"{name.replace('_', '-')} {_plain(value)}" for name, value in self.options.items()
        )
        packages = ", ".join(f"{name} {version}" for name, version in self.packages.items())
        lines = [
            f"{self.location}: {self.split}",
            f"  size        {amount}, {self.bytes / 1e6:.1f} MB",
            f"  store       {self.store}: {count(self.frames, 'frame')} per sample, {stored}",
            f"  options     {options or 'defaults'}",
            f"  made with   {packages}",
            *_column("licenses", [f"{each.samples:>7,}  {_name(each)}" for each in self.licenses]),
            *_column("left out", [f"{number:>7,}  {_meaning(why)}" for why, number in self.left_out.items()]),
        ]
        skipped = [f"{number:>7,}  {_meaning(why)}" for why, number in self.skipped.items()]
        noted = [f"{number:>7,}  {_meaning(code)}" for code, number in self.noted.items()]
        lines += _column("skipped", skipped) if skipped else []
        return lines + (_column("noted", noted) if noted else [])


def info(location: str | os.PathLike[str]) -> DataSetInfo:
    """What a data set is; only its manifest is read.

    Args:
        location: The data set's folder, or its manifest, as a local path or URL.

    Raises:
        ShardError: If there is no manifest, or it is broken.
    """
    manifest = Manifest.read(location)
    layout = manifest.layout
    return DataSetInfo(
        location=shown(data_set_at(location)[0]),
        split=manifest.split,
        samples=manifest.samples,
        shards=len(manifest.shards),
        bytes=sum(shard.size for shard in manifest.shards),
        store=layout.store,
        frames=layout.frames,
        frame_format=layout.frame if layout.store == "pairs" else "",
        targets=layout.targets,
        options=_changed(BuildOptions.of(manifest)),
        packages=manifest.packages,
        licenses=manifest.licenses,
        left_out={reason: len(ids) for reason, ids in manifest.left_out.items()},
        skipped=manifest.skipped,
        noted={code: len(ids) for code, ids in manifest.noted.items()},
    )


def _changed(options: BuildOptions) -> dict[str, Any]:
    """The options that differ from their defaults; the number of shards is shown elsewhere."""
    default, values = BuildOptions(options.split), options.to_json()
    return {
        each.name: values[each.name]
        for each in fields(BuildOptions)
        if each.name != "shards" and getattr(options, each.name) != getattr(default, each.name)
    }


def _plain(value: Any) -> str:
    """A value in a line: lists without brackets, a long selection as counts."""
    if isinstance(value, dict):
        return ", ".join(f"{count(len(ids), 'id')} to {name}" for name, ids in value.items() if ids)
    return " ".join(f"{each:g}" for each in value) if isinstance(value, list) else str(value)


def _column(title: str, rows: list[str]) -> list[str]:
    """A title and its rows, one below the other."""
    first, *rest = rows or ["none"]
    return [f"  {title:<12}{first.lstrip() if not rows else first}", *(" " * 14 + row for row in rest)]


def _name(license: LicenseCount) -> str:
    return f"{license.name or 'unnamed'} ({license.id})"


def _meaning(reason: str) -> str:
    meaning = exclusions.MEANING | notes.MEANING
    return f"{reason} ({meaning[reason]})" if reason in meaning else reason
