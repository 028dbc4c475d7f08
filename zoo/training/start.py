"""Where a training run's weights begin: at another network's, if it names one."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from mfsynth import schema
from mfsynth.storage import digest
from zoo.errors import ConfigError
from zoo.store.files import TRAINING, WEIGHTS
from zoo.store.find import find
from zoo.store.folder import load_folder, set_weights, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from zoo.networks import Config, Network
    from zoo.training.options import TrainOptions


def begin(
    model: Network, options: TrainOptions, say: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Give a new network the weights that the options name, and say which they are.

    What a name stands for may change: a later release ships better weights under it. Their hash stays.

    Returns:
        What training.json keeps about them: their hash, and how they were trained, back to the first weights;
        nothing for weights drawn at random.

    Raises:
        ConfigError: If that network has another architecture or shape, or its training.json is malformed.
        ZooError: If there is no such network.
    """
    if not options.start:
        return {}
    found = find(options.start)
    other = load_folder(found.folder, found.hashes)
    if other.config != options.model:
        raise _unlike(options, other.config)
    set_weights(model, weights_of(other), options.start)
    earlier = schema.decode(
        other.documents.get(TRAINING, b"{}"),
        dict[str, Any],
        f"{TRAINING} of {options.start}",
        error=ConfigError,
        hint="remove it, or start from another network",
    )
    told = ("command", "steps", "seconds", "data", "begun")
    kept: dict[str, Any] = {name: earlier[name] for name in told if name in earlier}
    sha256 = digest(found.folder / WEIGHTS)
    say(f"beginning with the weights of {options.start}, SHA-256 {sha256}")
    return {"sha256": sha256, **kept}


def _unlike(options: TrainOptions, theirs: Config) -> ConfigError:
    """The error for a start of another shape: what differs, and how to take its shape."""
    mine, start = options.model, f"start is {options.start}, a network"
    if theirs.task != mine.task:
        return ConfigError(f"{start} for {theirs.task}", f"start from one for {mine.task}")
    values = [(each.name, getattr(theirs, each.name), getattr(mine, each.name)) for each in fields(mine)]
    differing = [each for each in values if each[1] != each[2]]
    told = ", ".join(f"{name} is {there} there and {here} here" for name, there, here in differing)
    settings = " and ".join(f"model.{name}={there}" for name, there, _ in differing)
    return ConfigError(f"{start} of another shape: {told}", f"set {settings}, or start from another network")
