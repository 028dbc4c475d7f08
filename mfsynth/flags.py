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
    _number("seed", 0, "Seed of every draw."),
    _number("variants", 1, "Samples per image."),
    _bounds("sigma", (1.0, 5.0), "1 5", "Standard deviation of a Gaussian blur, in pixels."),
    _bounds("noise", (0.0, 0.0), "off",
            "Standard deviation of the noise in units of full range, one per sample."),
    _choice("store", "pairs recipe", "Rendered frames, or recipes whose frames are rendered when read."),
    _choice("format", "png jpeg", "Format of the frames; jpeg is quality 95, 4:4:4."),
    _choice("masks", "panoptic instances", "Annotations to use."),
    _number("min-area", 0.02,
            "Fraction of the image that both frames of a pair keep in focus, at most 1/3. In a stack, as "
            "many frames do as the image allows."),
    _flag("licenses", LICENSES_HELP, type=Numbers(), default=()),
    _flag("images", "File of image ids to take, one per line; !ID leaves ID out.", type=FILE),
    _flag("limit", "Only the first N images by id, after the filters.", type=click.IntRange(min=1)),
    _choice("orientation", "auto raw upright",
            "Pictures with an EXIF orientation: raw uses them as stored, upright turns them, auto does what "
            "fits the annotations."),
)  # fmt: skip

_OPTICS = (
    _choice("preset", "paper realistic",
            "A bundle of the options below: paper leaves all at their defaults, realistic makes defocus as "
            "lenses do. Whatever is given beside it overrides it; --show prints it."),
    _flag("frames", "Frames of a sample; more than 2 make a stack.", type=click.IntRange(2, 32), default=2,
          show_default=True),
    _flag("planes", "Planes in which segments lie, at least as many as frames; plane 0 is the farthest. "
          "Frames focus the first, the last, and evenly between.  [default: one per frame]", type=int,
          default=0),
    _choice("order", "random layout",
            "How segments are shared out among planes: at random, or by a guess of their depth: stuff (sky, "
            "grass) behind things, and of either, what ends lower in the picture is nearer."),
    _flag("depth", "Folder of depth maps, named like the pictures: planes are cut from them, not from masks.",
          type=FOLDER),
    _flag("depth-far-is-large", "Depth maps hold distances: larger is farther, 0 unknown.", is_flag=True),
    _choice("kernel", "gaussian disk polygon",
            "Shape of the blur: the paper's Gaussian, the disk of an open aperture, or a polygon of 5 to 9 "
            "blades, its rotation drawn."),
    _bounds("radius", (2.0, 10.0), "2 10",
            "Radius of a disk (or the polygon of equal area) between the farthest and the nearest plane, in "
            "pixels; between others it is in proportion to their distance."),
    _choice("boundary", "hard spread",
            "hard cuts at the mask's edge; spread lets near things out of focus cover what is behind them, "
            "and shows what they hide."),
    _choice("fill", "nearest inpaint",
            "What spread finds behind a near thing: the nearest visible pixel, or OpenCV's inpainting."),
    _choice("light", "srgb linear",
            "Blur and compose the file's sRGB values, as most generators do, or linear light, as lenses do: "
            "highlights grow."),
    _choice("noise-model", "gaussian poisson-gaussian",
            "Equal noise in all sRGB values, or a sensor's: shot noise that grows with light, and read "
            "noise."),
    _choice("capture", "clean camera",
            "camera gives 60 % of the samples noise of up to 5 gray levels (unless --noise says else), and "
            "36 % JPEG of quality 70 to 99."),
    _number("breathing", 0.0,
            "Focus breathing and shake: scale changes by up to this many per cent from the first frame to "
            "the last; largest shift, rotation and exposure are in proportion. 1 to 4 is usual."),
    _number("min-sharpness", 0.0,
            "Segments that a small blur changes by less than this many gray levels were not sharp in the "
            "photograph: they share the plane of a neighbor. Try 3."),
)  # fmt: skip


def content_flags(command: Command) -> Command:
    """Add every flag that decides content, besides --split and --shards."""
    for flag in reversed(_SCENES + _OPTICS):
        command = flag(command)
    return command
