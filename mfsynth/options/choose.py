"""The images of a split that options choose, and those that the annotations rule out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mfsynth import storage
from mfsynth.coco import exclusions
from mfsynth.coco.annotations.entries import Fault
from mfsynth.coco.split import read_split
from mfsynth.console import count, some
from mfsynth.errors import OptionsError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mfsynth.coco.annotations.entries import Entry
    from mfsynth.coco.split import Split
    from mfsynth.options.build import BuildOptions
    from mfsynth.storage import AnyPath


@dataclass(frozen=True)
class Choice:
    """The images of a split that options choose.

    Attributes:
        entries: The images to use, in the order of their samples' keys.
        left_out: Ids of images that are excluded because of their annotations, by reason.
        skipped: Number of records that are skipped without excluding an image, by reason.
        faults: What is wrong with records of the annotations; the details are sentences.
    """

    entries: tuple[Entry, ...]
    left_out: dict[str, tuple[int, ...]]
    skipped: dict[str, int]
    faults: tuple[Fault, ...]


def split_of(
    options: BuildOptions,
    coco: AnyPath,
    depth_maps: AnyPath | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Split:
    """The split that options name; no picture is opened.

    Args:
        options: The options.
        coco: Folder with the COCO data; it may be at a URL.
        depth_maps: Folder of depth maps, if the options take planes from them.
        say: Called with a line about what takes a while.

    Raises:
        OptionsError: If there are depth maps and the options do not use any, or the reverse.
        SourceError: If the data is missing or broken.
    """
    if options.depth != "none" and depth_maps is None:
        raise OptionsError(
            "the planes of this data set come from depth maps",
            "give the folder that has them: --depth DIR, or depth_maps in Python",
        )
    if options.depth == "none" and depth_maps is not None:
        raise OptionsError(
            "this data set is not made from depth maps", "omit --depth, or depth_maps in Python"
        )
    cache = storage.cache_folder()
    return read_split(coco, options.split, options.masks, depth_maps=depth_maps, cache=cache, say=say)


def choose(split: Split, options: BuildOptions) -> Choice:
    """The images to use, and what is left out because of the annotations.

    Raises:
        SourceError: If no image is left, or the order needs categories that cannot be read.
        OptionsError: If a requested image is not in the split.
    """
    if not split.entries:
        raise SourceError(f"{split.annotations} lists no images")
    _check_selection(split, options)
    if split.stuff is None and options.order == "layout":
        raise SourceError(
            f"the categories in {split.annotations} cannot be read, but --order layout needs them",
            "give each an id and isthing, 0 or 1, or use --order random",
        )
    chosen: list[Entry] = []
    excluded: dict[str, list[Entry]] = defaultdict(list)
    is_taken = options.images.rule()
    for entry in split.entries:
        if not is_taken(entry.image.id):
            continue
        if options.limit and len(chosen) == options.limit:
            break
        reason = listed_fault(entry, options)
        (chosen if reason is None else excluded[reason]).append(entry)
    strays = () if options.images.take else split.strays
    skipped = [*strays, *(fault for entry in chosen for fault in entry.skipped)]
    choice = Choice(
        tuple(chosen),
        {reason: tuple(e.image.id for e in excluded[reason]) for reason in sorted(excluded)},
        dict(sorted(Counter(fault.reason for fault in skipped).items())),
        tuple(_faults(excluded, strays, chosen)),
    )
    if not chosen:
        raise _none_left(split, choice)
    return choice


def _faults(
    excluded: dict[str, list[Entry]], strays: Iterable[Fault], chosen: Iterable[Entry]
) -> Iterator[Fault]:
    for reason, entries in excluded.items():
        for entry in entries:
            if entry.fault and entry.fault.reason == reason:
                yield Fault(reason, f"image {entry.image.id} cannot be used: {entry.fault.detail}")
    for fault in strays:
        yield Fault(fault.reason, f"{fault.detail}: this record is skipped")
    for entry in chosen:
        for fault in entry.skipped:
            yield Fault(fault.reason, f"image {entry.image.id} is used in part: {fault.detail}")


def _none_left(split: Split, choice: Choice) -> SourceError:
    counts = ", ".join(f"{len(ids)} {reason}" for reason, ids in choice.left_out.items())
    first = f"; {choice.faults[0].detail}" if choice.faults else ""
    return SourceError(
        f"none of the images of {split.name} can be used ({counts or 'all are filtered out'}){first}"
    )


def listed_fault(entry: Entry, options: BuildOptions) -> str | None:
    """Why an image cannot be used, according to its annotations; None if they do not rule it out.

    Areas count only if every segment has one and they fit the picture; otherwise the mask decides later. The
    areas of instances may overlap, so they can only show that too much of the picture is void.
    """
    if options.licenses and entry.image.license not in options.licenses:
        return exclusions.LICENSE
    if entry.fault:
        return entry.fault.reason
    if entry.depth is not None:
        return None
    if entry.segments is None and entry.instances is None:
        return exclusions.NO_ANNOTATION
    pixels = entry.image.width * entry.image.height
    areas = [area for area in entry.listed_areas if area is not None and 0 < area <= pixels]
    panoptic = entry.instances is None
    if len(areas) < len(entry.listed_areas) or (panoptic and sum(areas) > pixels):
        return None
    largest = max([pixels - sum(areas), *(areas if panoptic else ())])
    return exclusions.MIN_AREA if largest > pixels - max(1, options.min_area * pixels) else None


def _check_selection(split: Split, options: BuildOptions) -> None:
    absent = set(options.images.take) - {entry.image.id for entry in split.entries}
    if absent:
        ids = f"{count(len(absent), 'id')} that {split.name} does not have"
        raise OptionsError(f"--images names {ids}: {some(sorted(absent))}")
