"""Where a training run's weights begin: at another network's, if it names one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfsynth import schema
from mfsynth.storage import digest
from zoo.errors import ConfigError
from zoo.store.find import find
from zoo.store.folder import TRAINING, WEIGHTS, load_folder, set_weights, weights_of

if TYPE_CHECKING:
    from zoo.networks import Network
    from zoo.training.options import TrainOptions


def begin(model: Network, options: TrainOptions) -> dict[str, Any]:
    """Give a new network the weights that the options name.

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
        raise ConfigError(
            f"start is {options.start}, a network of another shape: {other.config.to_json()}",
            "set model.* as there, or start from another network",
        )
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
    return {"sha256": digest(found.folder / WEIGHTS), **kept}
