"""`mfsynth train`: a training run as requested, and how it is carried out."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mfsynth.engine import usable_cores
from mfsynth.errors import OptionsError
from mfsynth.locations import shown
from zoo.errors import ConfigError
from zoo.training.options import called
from zoo.training.presets import PRESETS, preset

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.training.options import Kind, Render, Target, TrainOptions
    from zoo.training.presets import Preset
    from zoo.training.run import TrainReport
    from zoo.training.sources import SourceSpec


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """A requested training run.

    Args:
        network: Which kind of network.
        data: Sources to train on, as text; see `zoo.training.sources.SourceSpec`.
        out: Folder to make.
        validation: Sources to validate on; if empty, part of `data` is held out.
        preset: The options that the settings change; None takes the kind's first.
        settings: `NAME=VALUE` each.
        steps, target, aligned: Short for the settings of these names; None leaves them as they are.
        workers: Loader processes; None takes half the cores, 8 at most.
        resume, overwrite, cpu, render: As for `TrainRun`.
        cache, cache_size: As for `mfsynth.open`; they change no weights, and are not part of the command.
    """

    network: Kind
    data: tuple[str, ...] = ()
    out: Path | None = None
    validation: tuple[str, ...] = ()
    preset: Preset | None = None
    settings: tuple[str, ...] = ()
    steps: int | None = None
    workers: int | None = None
    resume: bool = False
    overwrite: bool = False
    cpu: bool = False
    target: Target | None = None
    aligned: bool | None = None
    cache: Path | None = None
    cache_size: str | None = None
    render: Render = "cpu"

    def options(self) -> TrainOptions:
        """The preset's options with the settings applied.

        Raises:
            OptionsError: If a setting is unknown, or its value makes no sense.
        """
        settings = {}
        for text in self.settings:
            name, equals, value = text.partition("=")
            if not equals:
                raise OptionsError(f"--set {text} has no value", "write NAME=VALUE")
            settings[name.strip()] = value.strip()
        settings |= {name: str(value).lower() for name, value in self._named().items()}
        try:
            options = preset(self.network, self.preset)
        except ConfigError as error:
            raise OptionsError(f"--preset: {error.message}", error.hint) from error
        try:
            return options.override(settings)
        except ConfigError as error:
            raise OptionsError(f"--set: {error.message}", error.hint) from error

    def _named(self) -> dict[str, object]:
        """The settings that have options of their own, where they are given."""
        named = {name: getattr(self, name) for name in ("steps", "target", "aligned")}
        return {name: value for name, value in named.items() if value is not None}

    @property
    def loaders(self) -> int:
        """Number of loader processes."""
        return min(8, max(1, usable_cores() // 2)) if self.workers is None else self.workers

    def to_json(self) -> dict[str, Any]:
        """Every setting of the training, as JSON's own types; to be shown, so without passwords."""
        sources = {"data": [*map(shown, self.data)], "validation": [*map(shown, self.validation)]}
        options = self.options()
        return (
            asdict(options) | options.to_json() | sources | {"workers": self.loaders, "render": self.render}
        )

    def sources(self, texts: tuple[str, ...]) -> tuple[SourceSpec, ...]:
        """Sources by their names; shards at URLs are kept in this request's cache."""
        from zoo.training.sources import SourceSpec

        return tuple(SourceSpec.parse(text, self.cache, self.cache_size) for text in texts)

    def command(self) -> str:
        """The command in a form for any machine: without this machine's folders."""
        words = [f"mfsynth train {self.network}"]
        for name, sources in (("data", self.data), ("validation", self.validation)):
            words += [f"--{name} {spec}" for spec in self.sources(sources)]
        words += [f"--preset {self.preset or PRESETS[self.network][0]}", *map(_setting, self.settings)]
        if self.steps is not None:
            words.append(f"--steps {self.steps}")
        if self.target is not None:
            words.append(f"--target {self.target}")
        if self.aligned is not None:
            words.append("--aligned" if self.aligned else "--as-taken")
        if self.render != "cpu":
            words.append(f"--render {self.render}")
        return " ".join([*words, f"--out {self.network}"])


def train_as_asked(
    request: TrainRequest,
    *,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int, float], None] = lambda _done, _total, _loss: None,
) -> TrainReport:
    """Train a network; see `zoo.training.loop.train`.

    Args:
        request: What to train, and how.
        say: Called with a line about what takes a while, or which weights training begins with.
        progress: Called with the number of steps done and to do, and the loss.

    Raises:
        OptionsError: If an option makes no sense, or one that is needed is missing.
        MfsynthError: As `zoo.training.loop.train` does.
    """
    options = request.options()
    if request.out is None or not request.data:
        raise OptionsError("--data and --out are needed", "see mfsynth train --help")
    from zoo.training.loop import train
    from zoo.training.run import TrainRun

    run = TrainRun(
        data=request.sources(request.data),
        out=request.out,
        validation=request.sources(request.validation),
        workers=request.loaders,
        resume=request.resume,
        overwrite=request.overwrite,
        cpu=request.cpu,
        render=request.render,
        command=request.command(),
        say=say,
        progress=progress,
    )
    return train(options, run)


def _setting(text: str) -> str:
    """A setting as a word of a command for any machine."""
    name, _, value = text.partition("=")
    return f"--set {name.strip()}={called(value.strip()) if name.strip() == 'start' else value.strip()}"


def main_process() -> bool:
    """Whether this is the first of the processes that torchrun or accelerate started, or the only one."""
    return os.environ.get("RANK", "0") == "0"
