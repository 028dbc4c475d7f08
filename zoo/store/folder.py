"""A network's folder, as torch's networks: saved, loaded, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, overload

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mfsynth.storage import write
from zoo.errors import WeightsError
from zoo.networks import Network
from zoo.store.files import (
    CONFIG,
    EVALUATION,
    FILES,
    TRAINING,
    WEIGHTS,
    config_in,
    damaged,
    read_file,
    shapes_in,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from zoo.networks import Config

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def save_folder(folder: Path, model: Network) -> None:
    """Write a network and its documents: each file completely or not at all, the weights last.

    Raises:
        OutputError: If a file cannot be written.
    """
    write(folder / CONFIG, to_json(model.config.to_json()))
    for name in (TRAINING, EVALUATION):
        if name in model.documents:
            write(folder / name, model.documents[name])
        else:
            (folder / name).unlink(missing_ok=True)
    write(folder / WEIGHTS, save_tensors(weights_of(model), metadata={"format": "pt"}))


@overload
def load_folder(folder: Path, hashes: Mapping[str, str] | None = ...) -> Network: ...


@overload
def load_folder(
    folder: Path, hashes: Mapping[str, str] | None = ..., *, kind: type[AnyNetwork]
) -> AnyNetwork: ...


def load_folder(
    folder: Path, hashes: Mapping[str, str] | None = None, *, kind: type[Network] = Network
) -> Network:
    """Read a network, in eval mode, on the CPU, in float32.

    Args:
        folder: The folder that holds its files.
        kind: The class to create.
        hashes: The SHA-256 that they must have, by name; None checks nothing.

    Raises:
        MissingFileError: If a file is missing, or there are only pickles.
        DamagedError: If a file has another hash, or is cut short.
        ConfigError: If the config is from a newer release, or makes no sense.
        WeightsError: If the weights do not fit the network in the config.
    """
    return network_of(folder, read_files(folder, hashes or {}), kind)


def read_files(folder: Path, hashes: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a network, by name, with their hashes checked; weights last, once they fit the config.

    So that a config of a few bytes cannot ask for more memory than the weights have, names and shapes are
    compared before anything is allocated.

    Raises:
        MissingFileError, DamagedError, ConfigError, WeightsError: As for `load_folder`.
    """
    documents = (name for name in FILES if name != WEIGHTS)
    files = {name: data for name in documents if (data := read_file(folder, name, hashes)) is not None}
    expected = shapes_of(config_in(folder, files))
    if shapes_in(folder / WEIGHTS) != expected:
        raise _unfitting(str(folder / WEIGHTS))
    weights = read_file(folder, WEIGHTS, hashes)
    assert weights is not None
    return {**files, WEIGHTS: weights}


def network_of(folder: Path, files: Mapping[str, bytes], kind: type[AnyNetwork]) -> AnyNetwork:
    """The network in files that `read_files` gave, in eval mode, on the CPU, in float32.

    Raises:
        DamagedError, ConfigError, WeightsError: As for `load_folder`.
    """
    model = kind(config_in(folder, files))
    try:
        tensors = load_tensors(files[WEIGHTS])
    except SafetensorError as error:
        raise damaged(folder / WEIGHTS, str(error)) from error
    set_weights(model, tensors, str(folder / WEIGHTS))
    model.documents = {name: files[name] for name in (TRAINING, EVALUATION) if name in files}
    return model.eval()


def shapes_of(config: Config) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's weights, by name; nothing is allocated."""
    with torch.device("meta"):
        body = config.build()  # not a whole network: drawing weights there takes seconds for the first time
    return {f"body.{name}": tuple(value.shape) for name, value in body.state_dict().items()}


def _unfitting(where: str) -> WeightsError:
    return WeightsError(f"the weights in {where} do not fit the network in its config", "fetch both again")


def set_weights(model: Network, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Load weights into a network; they must be exactly the ones that it has.

    Raises:
        WeightsError: If names, shapes or kinds differ.
    """
    if not all(tensor.is_floating_point() for tensor in tensors.values()):
        raise WeightsError(f"the weights in {where} are not floating-point numbers", "use other weights")
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise _unfitting(where) from error


def weights_of(model: Network) -> dict[str, torch.Tensor]:
    """A network's weights, contiguous, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
