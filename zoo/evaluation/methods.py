"""What is scored: networks, classic methods and pictures that others fused, by the texts that name them.

hf-seg            a network: a short name, org/name on the Hub, or a folder
gff               a classic method: see `zoo.evaluation.baselines`
hf-reg+near       a network by one of its other rules: near (Eq. 6), weighted, select or blend
hf-seg+single     a network's single pass, as in the paper, instead of both orders
hf-seg+denoise    followed by OpenCV's non-local means
gff+align         the frames are first registered to frame 0, whose geometry the picture has
gff+prepared      the frames are first brought to one exposure and so on, as `mfsynth fuse` does it; a network
                  then fuses them exactly as `mfsynth fuse` does, and +align there is `mfsynth fuse --align`
ours=runs/try     any of these under another name
folder:NAME:DIR   pictures in DIR, by the stacks' names
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from mfsynth.errors import OptionsError
from mfsynth.storage import digest
from zoo.alignment.align import align
from zoo.errors import PictureError
from zoo.evaluation import baselines, references
from zoo.evaluation.data import Stack, read_rgb
from zoo.evaluation.prepared import Prepared
from zoo.fusing.fuse_frames import RULES, Fused, FusionNetwork
from zoo.stacks.options import FuseOptions
from zoo.store import registry

if TYPE_CHECKING:
    from mfsynth.sample import Picture
    from zoo.store.find import Found

NETWORK, CLASSIC, FOLDER = "network", "classic method", "fused by others"
_MODIFIERS: dict[str, dict[str, Any]] = {
    "near": {"rule": "nearest"},
    **{rule: {"rule": rule} for rule in RULES["seg"]},
    "single": {"symmetric": False},
}
_DENOISE, _ALIGN, _PREPARED = "denoise", "align", "prepared"
_NAME = re.compile(r"\w[\w.+-]*")
_ZOO = Path(__file__).parents[1]
_PACKAGES = ("mfsynth", "numpy", "opencv-python-headless", "torch", "pymatting", "scipy", "numba")


@dataclass(frozen=True, slots=True)
class Fuser:
    """An opened method: what a `Method` names.

    Attributes:
        name: The network's name or folder, or the classic method's name.
        rules: What `fuse` takes as `rule`; empty for a classic method.
        fuse: Fuses frames, as `zoo.FusionModel.fuse` does.
        network: The network; None for a classic method.
    """

    name: str
    rules: tuple[str, ...]
    fuse: Callable[..., Fused]
    network: FusionNetwork | None = None

    def fuse_prepared(self, frames: Prepared, options: dict[str, Any]) -> Fused:
        """Fuse prepared frames."""
        if self.network is None:
            return frames.fused_classically(self.fuse)
        return frames.fused(self.network, **options)


@dataclass(frozen=True, slots=True)
class Method:
    """A method that fuses stacks; it can be pickled.

    Attributes:
        name: Its name in tables.
        kind: A network, a classic method, or pictures that others fused.
        base: The network's name or folder, the classic method's name, or the folder of the pictures.
        options: Keywords of `fuse`, for a network.
        denoise: Whether the fused picture is denoised.
        align: Whether the frames are first registered to frame 0.
        prepared: Whether they are first prepared as `mfsynth fuse` does it.
        device: Where a network runs.
        identity: Hash of everything that its pictures depend on besides the frames; empty for `folder`.
    """

    name: str
    kind: str
    base: str
    options: tuple[tuple[str, Any], ...] = ()
    denoise: bool = False
    align: bool = False
    prepared: bool = False
    device: str = "cpu"
    identity: str = ""

    @property
    def fuses(self) -> bool:
        """Whether it fuses, rather than look up what others fused."""
        return self.kind != FOLDER

    @property
    def folder(self) -> str:
        """Its name as a folder's: only letters, digits, + and -."""
        return re.sub(r"[^\w+-]", "_", self.name)

    def fused(self, stack: Stack) -> Fused:
        """Its picture of a stack.

        Raises:
            MfsynthError: If it cannot fuse, or the picture that others fused is missing or of another size.
        """
        if self.fuses:
            return self._fuse(self._taken(stack))
        picture = _picture_of(Path(self.base), stack.name)
        if picture.shape != stack.frames[0].shape:
            (height, width), (high, wide) = picture.shape[:2], stack.frames[0].shape[:2]
            raise PictureError(
                f"{stack.name} in {self.base} is {width} x {height}, its frames {wide} x {high}",
                "fuse the frames as they are",
            )
        return Fused(picture, None, None)

    def swapped(self, stack: Stack) -> Fused:
        """Its picture of a stack whose frames come in reversed order, in frame 0's geometry all the same.

        Raises:
            MfsynthError: If it cannot fuse.
        """
        taken = self._taken(stack)
        return self._fuse(taken.reversed() if isinstance(taken, Prepared) else taken[::-1])

    def fuse(self, frames: Sequence[Picture]) -> Fused:
        """Fuse two or more frames, H x W x 3 uint8 RGB each; not for `folder`.

        Raises:
            MfsynthError: If it cannot.
        """
        if self.prepared:
            return self._fuse(Prepared.of(frames, FuseOptions(align=self.align)))
        return self._fuse(align(frames)[0] if self.align else frames)

    def _taken(self, stack: Stack) -> Sequence[Picture] | Prepared:
        if self.prepared:
            return _prepared(stack, self.align)
        return _aligned(stack) if self.align else stack.frames

    def _fuse(self, frames: Sequence[Picture] | Prepared) -> Fused:
        fuser, options = opened(self.kind, self.base, self.device), dict(self.options)
        if isinstance(frames, Prepared):
            fused = fuser.fuse_prepared(frames, options)
        else:
            fused = fuser.fuse(frames, **options)
        return Fused(denoised(fused.image), fused.decision, fused.confidence) if self.denoise else fused


@lru_cache(maxsize=1)
def _aligned(stack: Stack) -> tuple[Picture, ...]:
    """A stack's frames, registered to frame 0: once for all methods that follow one another."""
    return tuple(align(stack.frames)[0])


@lru_cache(maxsize=1)
def _prepared(stack: Stack, align: bool) -> Prepared:
    """A stack's frames, prepared once for all methods that follow one another."""
    return Prepared.of(stack.frames, FuseOptions(align=align))


def parse_methods(texts: Sequence[str], device: str = "cpu") -> tuple[Method, ...]:
    """The methods named by texts, separated by commas; each is opened once, so that errors come early.

    Raises:
        OptionsError: If a text makes no sense, or two methods have the same name.
        MfsynthError: If a network cannot be loaded, or a package is missing.
    """
    from zoo.pretrained import find_device

    place = str(find_device(device))
    methods = [_parse(word, place) for text in texts for word in _words(text)]
    names = [method.name for method in methods]
    for name in names:
        if names.count(name) > 1:
            raise OptionsError(f"two methods are called {name}", "write NAME=METHOD to rename one")
    folders = [method.folder.casefold() for method in methods]
    if len(set(folders)) < len(folders):
        raise OptionsError("the names of two methods give the same folder", "write NAME=METHOD to rename one")
    if not methods:
        known = dict.fromkeys([*registry.names(), *baselines.names()])
        raise OptionsError("no methods are given", f"known: {', '.join(known)}")
    references.check_names(names)
    return tuple(methods)


def _words(text: str) -> list[str]:
    """The methods in a text; if it is a single `folder:NAME:DIR`, the folder's name may have commas."""
    if text.startswith("folder:") and Path(text.split(":", 2)[-1]).is_dir():
        return [text]
    return [word.strip() for word in text.split(",") if word.strip()]


def _parse(text: str, device: str) -> Method:
    if text.startswith("folder:"):
        name, _, folder = text.removeprefix("folder:").partition(":")
        if not folder or not Path(folder).is_dir():
            raise OptionsError(
                f"{text!r} does not name a folder of pictures",
                "write folder:NAME:DIR; if DIR has a comma, in a separate --methods",
            )
        return Method(_checked(name), FOLDER, folder)
    name, given, spec = text.rpartition("=")
    base, modifiers = _split(spec)
    if given:
        _checked(name)
    settings = [setting for word in modifiers for setting in _MODIFIERS.get(word, {}).items()]
    options = dict(settings)
    if len(options) < len(settings) or len(set(modifiers)) < len(modifiers):
        raise OptionsError(f"{spec} has variants that exclude one another", "omit one")
    kind = CLASSIC if base in baselines.names() else NETWORK
    if kind == CLASSIC and options:
        words = " +".join(word for word in modifiers if word in _MODIFIERS)
        raise OptionsError(f"{base} has no variant +{words}", "only networks have it")
    method = Method(
        name if given else spec,
        kind,
        base,
        tuple(sorted(options.items())),
        denoise=_DENOISE in modifiers,
        align=_ALIGN in modifiers,
        prepared=_PREPARED in modifiers,
        device=device,
    )
    _check_rule(method)
    return replace(method, identity=_identity(method))


def _checked(name: str) -> str:
    """A given name, if tables and folders can use it."""
    if not _NAME.fullmatch(name):
        raise OptionsError(f"{name!r} is not a name for a method", "use letters, digits and . _ + -")
    return name


def _split(spec: str) -> tuple[str, list[str]]:
    """The method and its modifiers, taken off from the right: dct+cv is a method of its own."""
    modifiers: list[str] = []
    while spec not in baselines.names():
        rest, plus, word = spec.rpartition("+")
        if not plus or word not in (*_MODIFIERS, _DENOISE, _ALIGN, _PREPARED):
            break
        modifiers.append(word)
        spec = rest
    return spec, modifiers


def _check_rule(method: Method) -> None:
    """Open the method, and check that it has the rule, and orders of the frames that can differ."""
    fuser, options = opened(method.kind, method.base, method.device), dict(method.options)
    rule = options.get("rule")
    if rule is not None and rule not in fuser.rules:
        known = f"{', '.join(fuser.rules[:-1])} and {fuser.rules[-1]}"
        raise OptionsError(f"{method.base} has no rule {rule}", f"it has {known}")
    if "symmetric" in options and fuser.network is not None and fuser.network.config.sets:
        raise OptionsError(
            f"{method.base} has no variant +single", "its one pass does not depend on the order"
        )


@cache
def opened(kind: str, base: str, device: str) -> Fuser:
    """A network or a classic method, opened once in each process.

    Raises:
        MfsynthError: If a network cannot be loaded, or a package is missing.
    """
    if kind == CLASSIC:
        return Fuser(base, (), baselines.get(base).fuse)
    from zoo.loading import load

    model = load(base, device=device)
    return Fuser(base, RULES[model.config.task], model.fuse, model)


def _identity(method: Method) -> str:
    """A hash that changes when the method's pictures may change: its code, weights, options, packages."""
    parts = {
        "base": method.base,
        "options": method.options,
        "denoise": method.denoise,
        "align": method.align,
        "prepared": method.prepared,
        "device": method.device if method.kind == NETWORK else "",
        "code": _code(),
        "packages": packages(),
        "weights": weights(method),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@cache
def _code() -> str:
    """Hash of the package's code: a change anywhere in it may change pictures."""
    digests = [digest(path) for path in sorted(_ZOO.rglob("*.py"))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def weights(method: Method) -> dict[str, str]:
    """SHA-256 of a network's files, or of those that a classic method uses; empty for other methods."""
    if method.kind == FOLDER or (method.kind == CLASSIC and method.base not in registry.names()):
        return {}
    found = _found(method.base)
    names = ("config.json", "model.safetensors")
    return {name: digest(found.folder / name) for name in names}


@cache
def _found(base: str) -> Found:
    from zoo.store.find import find

    return find(base)


@cache
def _pictures_in(folder: Path) -> tuple[Path, ...]:
    from zoo.pictures.kinds import SUFFIXES

    return tuple(path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES)


def _picture_of(folder: Path, name: str) -> Picture:
    """The picture with exactly a stack's name, else the only one whose name differs just in case."""
    like = [path for path in _pictures_in(folder) if path.stem.lower() == name.lower()]
    found = [path for path in like if path.stem == name] or like
    if not found:
        raise PictureError(f"{folder} has no picture of {name}", f"name it {name}.png")
    if len(found) > 1:
        raise PictureError(f"{found[0]} and {found[1].name} both belong to {name}", "remove one")
    return read_rgb(found[0])


def packages() -> dict[str, str]:
    """Versions of the packages that pictures depend on."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def denoised(picture: Picture, strength: float | None = None) -> Picture:
    """OpenCV's non-local means with its own window sizes.

    Args:
        picture: H x W x 3, uint8.
        strength: The filter's h, in levels. None takes the standard deviation of the picture's noise, as J.
            Immerkær estimates it ("Fast noise variance estimation", Computer Vision and Image Understanding
            64 (1996) 300-302).
    """
    h = noise_of(picture) if strength is None else strength
    if h == 0:
        return picture
    bgr = np.ascontiguousarray(picture[..., ::-1])  # OpenCV expects BGR
    return np.ascontiguousarray(cv2.fastNlMeansDenoisingColored(bgr, None, h, h)[..., ::-1], np.uint8)


def noise_of(picture: Picture) -> float:
    """Immerkær's estimate of a picture's noise: a standard deviation in levels; H x W x 3 uint8."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = cv2.filter2D(picture.astype(np.float32), -1, kernel)[1:-1, 1:-1]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean())
