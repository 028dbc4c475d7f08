"""A network in a folder: config.json, model.safetensors, training.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mfsynth.look.output import write
from zoo.errors import ConfigError, ZooError
from zoo.hourglass import Config, Hourglass

if TYPE_CHECKING:
    import torch

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TRAINING = "training.json"


def save_folder(folder: Path, model: Hourglass, training: dict[str, Any]) -> None:
    """Write a network and how it came to be; each file whole or not at all, the weights last.

    Raises:
        OutputError: If a file cannot be written.
    """
    write(folder / CONFIG, to_json(model.config.to_json()))
    write(folder / TRAINING, to_json(training))
    write(folder / WEIGHTS, save_tensors(weights_of(model), metadata={"format": "pt"}))


def load_folder(folder: Path) -> Hourglass:
    """Read a network, in eval mode, on the CPU, in float32.

    Raises:
        ZooError: If a file is missing or broken, or the weights are not those of the config's network.
        ConfigError: If the config is of another release, or makes no sense.
    """
    try:
        text = (folder / CONFIG).read_bytes()
        data = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise ZooError(
            f"{error.filename} cannot be read: {error.strerror}",
            f"a network's folder holds {CONFIG} and {WEIGHTS}",
        ) from error
    try:
        model = Hourglass(Config.read(text))
    except ConfigError as error:
        raise ConfigError(f"{folder / CONFIG}: {error.message}", error.hint) from error
    try:
        tensors = load_tensors(data)
    except SafetensorError as error:
        raise ZooError(f"{folder / WEIGHTS} is damaged: {error}", "fetch it again") from error
    set_weights(model, tensors, str(folder / WEIGHTS))
    return model.eval()


def set_weights(model: Hourglass, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Give a network its weights, all of them and no others.

    Raises:
        ZooError: If names or shapes differ.
    """
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ZooError(
            f"the weights in {where} are not those of the network in its config", "fetch both again"
        ) from error


def weights_of(model: Hourglass) -> dict[str, torch.Tensor]:
    """A network's weights, contiguous, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def to_json(values: dict[str, Any]) -> bytes:
    """JSON for people and programs: indented, in the order given."""
    return (json.dumps(values, indent=2) + "\n").encode()
