"""The flags of `mfsynth build` that decide what a data set holds; `BuildOptions` says the same in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from mfsynth.console import FILE, FOLDER, Numbers

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = TypeVar("Command", bound=Callable[..., object])

LICENSES_HELP = """Keep only images under these COCO licenses, by id, such as 4,5,7,8.
1 BY-NC-SA, 2 BY-NC, 3 BY-NC-ND, 4 BY, 5 BY-SA, 6 BY-ND, 7 no known copyright restrictions,
8 US government work. All but 3 and 6 allow derivatives, such as blurred frames;
4, 5, 7 and 8 allow commercial use too."""


def _flag(name: str, help: str, **settings: Any) -> Callable[[Command], Command]:
    return click.option(f"--{name}", help=help, **settings)


def _number(name: str, default: float, help: str) -> Callable[[Command], Command]:
    return _flag(name, help, type=type(default), default=default, show_default=True)


def _bounds(name: str, default: tuple[float, float], shown: str, help: str) -> Callable[[Command], Command]:
    help = f"{help}  [default: {shown}]"
    return _flag(name, help, type=float, nargs=2, default=default, metavar="LO HI")


def _choice(name: str, values: str, help: str) -> Callable[[Command], Command]:
    """A flag with some values; the first is its default."""
    choices = values.split()
    return _flag(name, help, type=click.Choice(choices), default=choices[0], show_default=True)


_SCENES = (
    _number("seed", 0, "Seed of all random draws."),
    _number("variants", 1, "Samples per image."),
    _bounds("sigma", (1.0, 5.0), "1 5", "Standard deviation of a Gaussian blur, in pixels."),
    _bounds("noise", (0.0, 0.0), "off",
            "Standard deviation of the noise in units of full range, one per sample."),
    _choice("store", "pairs recipe", "Rendered frames, or recipes whose frames are rendered when read."),
    _choice("format", "png jpeg", "Format of the frames; jpeg is quality 95, 4:4:4."),
    _choice("masks", "panoptic instances", "Annotations to use."),
    _number("min-area", 0.02,
            "Smallest fraction of the image that each frame of a pair has in focus, at most 1/3. In a stack, "
            "as many frames as the image allows have it."),
    _flag("licenses", LICENSES_HELP, type=Numbers(), default=()),
    _flag("images", "File of image ids to take, one per line; !ID leaves ID out.", type=FILE),
    _flag("limit", "Only the first N images by id, after the filters.", type=click.IntRange(min=1)),
    _choice("orientation", "auto raw upright",
            "Pictures with an EXIF orientation: raw uses them as stored, upright turns them, auto does what "
            "fits the annotations."),
)  # fmt: skip

_OPTICS = (
    _choice("preset", "paper realistic",
            "A set of values for the options below: paper keeps their defaults, realistic renders defocus as "
            "lenses do. Options that you give override it; --show prints it."),
    _flag("frames", "Frames per sample; more than 2 make a stack.", type=click.IntRange(2, 32), default=2,
          show_default=True),
    _flag("planes", "Planes that segments lie in, from the number of frames to 255; plane 0 is the farthest. "
          "Frames are focused on the first, the last, and evenly between.  "
          "[default: one per frame; 16 with --depth]", type=int, default=0),
    _choice("order", "random layout",
            "How segments are assigned to planes: at random, or by a guess at their depth, which puts stuff "
            "(sky, grass) behind things, and within each, what ends lower in the picture nearer."),
    _flag("depth", "Folder of depth maps, named like the pictures. Planes come from them instead of masks.",
          type=FOLDER),
    _flag("depth-far-is-large", "The depth maps hold distances: larger is farther, 0 is unknown.",
          is_flag=True),
    _choice("kernel", "gaussian disk polygon",
            "Shape of the blur: the paper's Gaussian, the disk of an open aperture, or a polygon of 5 to 9 "
            "blades, with a random rotation."),
    _bounds("radius", (2.0, 10.0), "2 10",
            "Radius in pixels of the disk (or of a disk with the polygon's area) between the farthest and "
            "the nearest plane; between other planes, it is in proportion to their distance."),
    _choice("boundary", "hard spread",
            "hard: blur stops at the mask's edge, as in the paper. spread: near things that are out of focus "
            "spread over what is behind them."),
    _choice("fill", "nearest inpaint",
            "What spread puts behind a near thing: the color of the nearest visible pixel, or OpenCV's "
            "inpainting, which is closer to the truth but slower."),
    _choice("light", "srgb linear",
            "Blur and combine the sRGB values of the file, as most generators do, or linear light, as lenses "
            "do, in which highlights grow."),
    _choice("noise-model", "gaussian poisson-gaussian",
            "The same noise for all sRGB values, or that of a sensor: shot noise, which grows with light, "
            "and read noise."),
    _choice("capture", "clean camera",
            "camera: three samples in five get noise of up to 5 gray levels, and three in five of those "
            "are also compressed as JPEG of quality 70 to 99. With --noise, all samples get that noise "
            "instead."),
    _number("breathing", 0.0,
            "Focus breathing and shake: the scale changes by up to this many percent from the first frame to "
            "the last, at most 20. The largest shift, rotation and change of exposure are in proportion. "
            "1 to 4 is usual."),
    _number("min-sharpness", 0.0,
            "Segments that a small blur changes by less than this many gray levels were not sharp in the "
            "photograph, so they share the plane of a neighbor. Try 3."),
)  # fmt: skip


def content_flags(command: Command) -> Command:
    """Add every flag that decides content, besides --split and --shards."""
    for flag in reversed(_SCENES + _OPTICS):
        command = flag(command)
    return command
