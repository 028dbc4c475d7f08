"""What decides the content of a data set: BuildOptions, to JSON and back, and the images that they choose."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, get_args

from mfsynth import limits, schema
from mfsynth.coco import exclusions
from mfsynth.coco.annotations.entries import Fault
from mfsynth.coco.annotations.records import MAX_ID
from mfsynth.coco.orientation import Orientation
from mfsynth.coco.split import Masks
from mfsynth.console import count, some
from mfsynth.errors import OptionsError, ShardError, SourceError
from mfsynth.order import whole_number
from mfsynth.shards.manifest import fingerprint
from mfsynth.synthesis.draw import DrawOptions

if TYPE_CHECKING:
    from mfsynth.coco.annotations.entries import Entry
    from mfsynth.coco.split import Split
    from mfsynth.shards.manifest import Manifest

Store = Literal["pairs", "recipe"]
FrameFormat = Literal["png", "jpeg"]

_CHOICES = {"masks": Masks, "store": Store, "format": FrameFormat, "orientation": Orientation}

MAX_VARIANTS = 1000
MAX_MIN_AREA = 1 / 3
_ID_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Selection:
    """Image ids to take (empty takes all), and ids to leave out."""

    take: tuple[int, ...] = ()
    leave: tuple[int, ...] = ()

    def rule(self) -> Callable[[int], bool]:
        """A function that says whether the image with an id is taken."""
        take, leave = frozenset(self.take), frozenset(self.leave)
        return lambda image_id: (not take or image_id in take) and image_id not in leave

    @staticmethod
    def read(path: Path) -> Selection:
        """Read a file of ids, in the format of `parse`.

        Raises:
            OptionsError: If it cannot be read, a line is not an id, or there are no ids.
        """
        try:
            with path.open("rb") as file:  # which may be a pipe: --images <(jq …)
                text = file.read(limits.DOCUMENT_BYTES + 1)
            if len(text) > limits.DOCUMENT_BYTES:
                raise OptionsError(
                    f"{path} is not a list of ids: it has over {limits.DOCUMENT_BYTES:,} bytes"
                )
            return Selection.parse(text.decode("utf-8-sig"), str(path))
        except OSError as error:
            raise OptionsError(f"cannot read {path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise OptionsError(f"{path} is not a list of ids: it is not UTF-8") from error

    @staticmethod
    def parse(text: str, where: str) -> Selection:
        """Read ids, one per line; `!` before an id leaves it out; `#` begins a comment.

        >>> Selection.parse("139\\n!285 # a bear\\n", "ids.txt")
        Selection(take=(139,), leave=(285,))

        Raises:
            OptionsError: If a line is not an id, or there are no ids.
        """
        take: set[int] = set()
        leave: set[int] = set()
        for number, line in enumerate(text.splitlines(), 1):
            word = line.partition("#")[0].strip()
            if not word:
                continue
            digits = word.removeprefix("!").strip()
            if not digits.isdecimal() or len(digits) > _ID_DIGITS or int(digits) > MAX_ID:
                shown = word if len(word) <= 40 else f"{word[:40]}…"
                raise OptionsError(
                    f"{where}, line {number}: {shown!r} is not an image id", "write 139 or !139"
                )
            (leave if word.startswith("!") else take).add(int(digits))
        if not take and not leave:
            raise OptionsError(f"{where} has no image ids", "write one per line, or omit --images")
        return Selection(tuple(sorted(take)), tuple(sorted(leave)))


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What decides the content of a data set, down to the byte.

    Args:
        split: The split's name.
        masks: `panoptic` (PNG masks) or `instances` (polygons and RLE).
        seed: Seed of every draw.
        variants: Samples per image.
        sigma: Smallest and largest blur, in pixels.
        noise: Smallest and largest standard deviation of the noise, in units of full range; (0, 0) is off.
        store: `pairs` (rendered frames) or `recipe` (frames are rendered on reading).
        format: Format of stored frames: `png`, or `jpeg` (quality 95, 4:4:4).
        min_area: Each frame keeps at least this fraction in focus.
        licenses: COCO license ids to keep; empty keeps all.
        images: Image ids to take or leave out.
        limit: Take only this many images, the first by id after all filters; 0 takes all.
        shards: Number of shards; 0 makes one for every 1,000 samples.
        orientation: What becomes of a picture with an orientation tag (EXIF or XMP): `raw` uses it as stored,
            `upright` turns it; `auto` turns it only where its annotations have the upright size and not the
            stored one.

    Raises:
        OptionsError: If a value makes no sense.
    """

    split: str
    masks: Masks = "panoptic"
    seed: int = 0
    variants: int = 1
    sigma: tuple[float, float] = (1.0, 5.0)
    noise: tuple[float, float] = (0.0, 0.0)
    store: Store = "pairs"
    format: FrameFormat = "png"
    min_area: float = 0.02
    licenses: tuple[int, ...] = ()
    images: Selection = field(default_factory=Selection)
    limit: int = 0
    shards: int = 0
    orientation: Orientation = field(default="auto", metadata=schema.since("0.2.0"))

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            _require(getattr(self, name) in get_args(choices), self, name, f"one of {get_args(choices)}")
        _require(0 < len(self.split) <= 60 and _plain(self.split), self, "split", "letters, digits, . _ -")
        _require(0 <= self.seed < 1 << 63, self, "seed", "from 0 to 2^63 - 1")
        _require(1 <= self.variants <= MAX_VARIANTS, self, "variants", f"from 1 to {MAX_VARIANTS}")
        low, high = self.sigma
        _require(0.1 <= low <= high <= 100, self, "sigma", "two ascending numbers from 0.1 to 100")
        low, high = self.noise
        _require(0 <= low <= high <= 1, self, "noise", "two ascending numbers from 0 to 1")
        _require(0 <= self.min_area <= MAX_MIN_AREA, self, "min_area", "from 0 to 1/3")
        _require(self.limit >= 0, self, "limit", "0 (all) or more")
        _require(self.shards >= 0, self, "shards", "0 (one for every 1,000 samples) or more")

    @property
    def draw(self) -> DrawOptions:
        """The options that drawing a recipe needs."""
        return DrawOptions(self.seed, self.sigma, self.noise, self.min_area)

    def to_json(self) -> dict[str, Any]:
        """The options as JSON's own types."""
        return schema.to_json(self)

    @staticmethod
    def from_json(values: dict[str, Any], release: str = "") -> BuildOptions:
        """The options that `to_json` gave; fields that are absent take their defaults.

        Args:
            values: By name.
            release: The release of mfsynth that wrote them, if known.

        Raises:
            ShardError: If a name is unknown, or a value has a wrong type.
        """
        what = "the build options"
        return schema.from_json(values, BuildOptions, what, error=ShardError, release=release)

    @staticmethod
    def of(manifest: Manifest) -> BuildOptions:
        """The options that a data set was built with.

        Raises:
            ShardError: If this release does not know one of them, or a value has a wrong type.
        """
        return BuildOptions.from_json(manifest.options, manifest.packages.get("mfsynth", ""))

    @property
    def fingerprint(self) -> str:
        """SHA-256, as hex text, of the options' JSON with sorted names."""
        return fingerprint(self.to_json())


class ContentOptions(TypedDict, total=False):
    """What decides the scenes besides split and seed, as keyword arguments of Python functions.

    `BuildOptions` says what each means. Numbers may be of any numeric type; `images` are the ids
    to take, or a Selection.
    """

    masks: Masks
    sigma: tuple[float, float]
    noise: tuple[float, float]
    min_area: float
    licenses: Iterable[int]
    images: Iterable[int] | Selection | None
    limit: int
    orientation: Orientation


def content_options(split: str, seed: int = 0, **content: Unpack[ContentOptions]) -> BuildOptions:
    """The options that a Python function was called with; those that are not given take their defaults.

    Raises:
        OptionsError: If there is no such option, or its value makes no sense.
    """
    check_names(content, ContentOptions)
    values: dict[str, Any] = dict(content)
    for name in values.keys() & _COERCIONS.keys():
        values[name] = _COERCIONS[name](name, values[name])
    return BuildOptions(split, seed=whole_number("seed", seed), **values)


def check_names(given: Iterable[str], options: type) -> None:
    """Check the names of keyword arguments against a TypedDict's.

    Raises:
        OptionsError: If one is unknown.
    """
    names = list(options.__annotations__)
    for unknown in set(given) - set(names):
        near = get_close_matches(unknown, names, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise OptionsError(f"there is no option {unknown!r}", f"{guess}The options are {', '.join(names)}")


def _bounds(name: str, value: tuple[float, float]) -> tuple[float, float]:
    try:
        low, high = value
        return float(low), float(high)
    except (TypeError, ValueError) as error:
        raise OptionsError(f"{name} is {value!r}, it must be two numbers, smallest and largest") from error


def _ids(name: str, value: Iterable[int]) -> tuple[int, ...]:
    try:
        return tuple(sorted(set(map(index, value))))
    except TypeError as error:
        raise OptionsError(f"{name} is {value!r}, it must be a sequence of ids") from error


def _selection(name: str, images: Iterable[int] | Selection | None) -> Selection:
    if images is None or isinstance(images, Selection):
        return images or Selection()
    take = _ids(name, images)
    if not take:
        raise OptionsError(f"{name} is empty", "None takes all")
    return Selection(take)


_COERCIONS: dict[str, Callable[[str, Any], Any]] = {
    "sigma": _bounds,
    "noise": _bounds,
    "licenses": _ids,
    "images": _selection,
    "limit": whole_number,
}


def _require(holds: bool, options: BuildOptions, name: str, rule: str) -> None:
    if not holds:
        raise OptionsError(f"--{name.replace('_', '-')} is {getattr(options, name)!r}, it must be {rule}")


def _plain(text: str) -> bool:
    return text.isascii() and text.replace("_", "").replace("-", "").replace(".", "").isalnum()


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


def choose(split: Split, options: BuildOptions) -> Choice:
    """The images to use, and what is left out because of the annotations.

    Raises:
        SourceError: If no image is left.
        OptionsError: If a requested image is not in the split.
    """
    if not split.entries:
        raise SourceError(f"{split.annotations} lists no images")
    _check_selection(split, options)
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
