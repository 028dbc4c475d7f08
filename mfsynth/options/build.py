"""What decides the content of a data set: BuildOptions, to JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

from mfsynth import limits, schema
from mfsynth.coco.masks.depth import DepthCut
from mfsynth.coco.orientation import Orientation
from mfsynth.coco.split import Masks
from mfsynth.errors import OptionsError, ShardError
from mfsynth.options.selection import Selection
from mfsynth.recipe import Boundary, Fill, Kernel, Light, NoiseModel, Order
from mfsynth.shards.manifest import fingerprint
from mfsynth.synthesis.draw import Capture, DrawOptions

if TYPE_CHECKING:
    from collections.abc import Callable

    from mfsynth.shards.manifest import Manifest

Store = Literal["pairs", "recipe"]
FrameFormat = Literal["png", "jpeg"]
Depth = Literal["none", "near", "far"]

_CHOICES = {
    "masks": Masks, "store": Store, "format": FrameFormat, "orientation": Orientation, "order": Order,
    "depth": Depth, "kernel": Kernel, "boundary": Boundary, "fill": Fill, "light": Light,
    "noise_model": NoiseModel, "capture": Capture,
}  # fmt: skip

MAX_VARIANTS = 1000
MAX_MIN_AREA = 1 / 3
MAX_FRAMES = limits.STACK
_NEW = schema.since("0.2.0")


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What decides the content of a data set, down to the byte.

    Args:
        split: The split's name.
        masks: `panoptic` (PNG masks) or `instances` (polygons and RLE).
        seed: Seed of every draw.
        variants: Samples per image.
        sigma: Smallest and largest sigma of a Gaussian blur, in pixels, between the outermost planes.
        noise: Smallest and largest standard deviation of the noise, in units of full range; (0, 0) is off, or
            leaves it to `capture`.
        store: `pairs` (rendered frames) or `recipe` (frames are rendered on reading).
        format: Format of stored frames: `png`, or `jpeg` (quality 95, 4:4:4).
        min_area: Each frame of a pair has at least this fraction of the picture in focus, at most 1/3. In a
            stack, as many frames as the picture allows have it.
        licenses: COCO license ids to keep; empty keeps all.
        images: Image ids to take or leave out.
        limit: Take only this many images, the first by id after all filters; 0 takes all.
        shards: Number of shards; 0 makes one for every 1,000 samples.
        orientation: What becomes of a picture with an orientation tag (EXIF or XMP): `raw` uses it as stored,
            `upright` turns it; `auto` turns it only where its annotations have the upright size and not the
            stored one.
        frames: Frames per sample, from 2 to 32.
        planes: Planes of a scene; 0 makes one for each frame, or 16 with depth maps.
        order: How segments are assigned to planes: `random`, or `layout`, a guess at their depth: stuff is
            behind things, and within each, what ends lower in the picture is nearer.
        depth: `none`, or what large values mean in the depth maps that planes come from: `near` or `far`.
        kernel: `gaussian`, `disk` or `polygon` (5 to 9 blades, with a random rotation).
        radius: Smallest and largest radius of a disk or polygon, in pixels, between the outermost planes.
        boundary: `hard`, or `spread`: what is near and out of focus spreads over what is behind it.
        fill: What is put behind a near layer: the color of the `nearest` visible pixel, or `inpaint`.
        light: The values that are blurred and combined: `srgb` or `linear`.
        noise_model: `gaussian` (on sRGB values) or `poisson-gaussian` (on linear light).
        capture: `clean`, or `camera`: three samples in five get noise of up to 5 gray levels (all get that of
            `noise`, if it is given), and three in five of those are compressed as JPEG.
        breathing: Largest change of scale from the first frame to the last, in percent; the largest shift,
            rotation and change of exposure are in proportion. 0 is off.
        min_sharpness: Segments that a small blur changes by less than this, in gray levels, share the plane
            of a neighbor; 0 is off.

    Raises:
        OptionsError: If a value makes no sense, or would have no effect with the others.
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
    orientation: Orientation = field(default="auto", metadata=_NEW)
    frames: int = field(default=2, metadata=_NEW)
    planes: int = field(default=0, metadata=_NEW)
    order: Order = field(default="random", metadata=_NEW)
    depth: Depth = field(default="none", metadata=_NEW)
    kernel: Kernel = field(default="gaussian", metadata=_NEW)
    radius: tuple[float, float] = field(default=(2.0, 10.0), metadata=_NEW)
    boundary: Boundary = field(default="hard", metadata=_NEW)
    fill: Fill = field(default="nearest", metadata=_NEW)
    light: Light = field(default="srgb", metadata=_NEW)
    noise_model: NoiseModel = field(default="gaussian", metadata=_NEW)
    capture: Capture = field(default="clean", metadata=_NEW)
    breathing: float = field(default=0.0, metadata=_NEW)
    min_sharpness: float = field(default=0.0, metadata=_NEW)

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
        _require(2 <= self.frames <= MAX_FRAMES, self, "frames", f"from 2 to {MAX_FRAMES}")
        planes = self.planes == 0 or self.frames <= self.planes <= limits.PLANES
        _require(
            planes, self, "planes", f"from the number of frames, {self.frames}, to {limits.PLANES}, or 0"
        )
        low, high = self.radius
        _require(0.2 <= low <= high <= 100, self, "radius", "two ascending numbers from 0.2 to 100")
        _require(0 <= self.breathing <= 20, self, "breathing", "from 0 to 20")
        _require(0 <= self.min_sharpness <= 255, self, "min_sharpness", "from 0 to 255")
        _require(self.limit >= 0, self, "limit", "0 (all) or more")
        _require(self.shards >= 0, self, "shards", "0 (one for every 1,000 samples) or more")
        for name, serves in SERVES.items():
            if getattr(self, name) != DEFAULTS[name] and not serves.holds(self):
                raise OptionsError(f"--{_flag(name)} has no effect {serves.otherwise}", serves.hint)

    @property
    def draw(self) -> DrawOptions:
        """The options that drawing a recipe needs."""
        return DrawOptions(**{each.name: getattr(self, each.name) for each in fields(DrawOptions)})

    @property
    def cut(self) -> DepthCut | None:
        """How depth maps are cut into layers; None without them."""
        return None if self.depth == "none" else DepthCut(self.draw.depths, self.depth)

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


@dataclass(frozen=True, slots=True)
class Serves:
    """When an option has an effect, and what to say and do otherwise."""

    holds: Callable[[BuildOptions], bool]
    otherwise: str
    hint: str


SERVES = {
    "sigma": Serves(
        lambda options: options.kernel == "gaussian",
        "on a disk or a polygon",
        "give --radius, or --kernel gaussian",
    ),
    "radius": Serves(
        lambda options: options.kernel != "gaussian",
        "on a Gaussian",
        "give --sigma, or --kernel disk or --kernel polygon",
    ),
    "fill": Serves(
        lambda options: options.boundary == "spread", "on a hard boundary", "give --boundary spread"
    ),
    "noise_model": Serves(
        lambda options: options.noise[1] > 0 or options.capture == "camera",
        "without noise",
        "give --noise, or --capture camera",
    ),
    "order": Serves(lambda options: options.depth == "none", "with --depth", "omit one of them"),
    "min_sharpness": Serves(lambda options: options.depth == "none", "with --depth", "omit one of them"),
}
"""Options that only have an effect with certain values of others: giving them without is a mistake."""

DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(BuildOptions)}
"""By name; those of `split` and `images` are not values."""


def _require(holds: bool, options: BuildOptions, name: str, rule: str) -> None:
    if not holds:
        raise OptionsError(f"--{_flag(name)} is {getattr(options, name)!r}, it must be {rule}")


def _flag(name: str) -> str:
    return name.replace("_", "-")


def _plain(text: str) -> bool:
    return text.isascii() and text.replace("_", "").replace("-", "").replace(".", "").isalnum()
