"""A network in a folder: config.json, model.safetensors, and documents: training.json, evaluation.json."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mfsynth.storage import write
from zoo.errors import ConfigError, DamagedError, MissingFileError, WeightsError
from zoo.networks import Config, Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import torch

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TRAINING = "training.json"
EVALUATION = "evaluation.json"
FILES = (CONFIG, WEIGHTS, TRAINING, EVALUATION)
"""All that a network's folder holds for programs; the last two may be missing."""
AnyNetwork = TypeVar("AnyNetwork", bound=Network)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def save_folder(folder: Path, model: Network) -> None:
    """Write a network and its documents; each file whole or not at all, the weights last.

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
        folder: Where its files lie.
        kind: The class to make.
        hashes: SHA-256 that they must have, by name; None checks none.

    Raises:
        MissingFileError: If a file is missing, or there are pickles alone.
        DamagedError: If a file is not the one that is meant, or is cut short.
        ConfigError: If the config is of another release, or makes no sense.
        WeightsError: If the weights are not those of the config's network.
    """
    data = {name: data for name in FILES if (data := read_file(folder, name, hashes or {})) is not None}
    try:
        model = kind(Config.read(data[CONFIG], release_of(data.get(TRAINING))))
    except ConfigError as error:
        raise type(error)(f"{folder / CONFIG}: {error.message}", error.hint) from error
    try:
        tensors = load_tensors(data[WEIGHTS])
    except SafetensorError as error:
        raise DamagedError(f"{folder / WEIGHTS} is damaged: {error}", "fetch it again") from error
    set_weights(model, tensors, str(folder / WEIGHTS))
    model.documents = {name: data[name] for name in (TRAINING, EVALUATION) if name in data}
    return model.eval()


def release_of(training: bytes | None) -> str:
    """The release of mfsynth that wrote a training.json; empty if it does not say."""
    try:
        return str(json.loads(training or b"")["versions"]["mfsynth"])
    except (ValueError, KeyError, TypeError):
        return ""


def copy_folder(folder: Path, to: Path, hashes: Mapping[str, str]) -> Path:
    """Copy a network's files into another folder, checked on the way, in place of another network's.

    Raises:
        MissingFileError, DamagedError: See `load_folder`.
        OutputError: If a file cannot be written.
    """
    for name in FILES:
        data = read_file(folder, name, hashes)
        if data is not None:
            write(to / name, data)
        else:
            (to / name).unlink(missing_ok=True)
    return to


def read_file(folder: Path, name: str, hashes: Mapping[str, str]) -> bytes | None:
    """A file's bytes, its hash checked; None for a document that is missing.

    Raises:
        MissingFileError, DamagedError: See `load_folder`.
    """
    path = folder / name
    if not path.exists() and name not in (CONFIG, WEIGHTS) and name not in hashes:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise missing(path, error) from error
    if name in hashes and hashlib.sha256(data).hexdigest() != hashes[name]:
        raise DamagedError(f"{path} is not the file that is meant: its SHA-256 differs", "fetch it again")
    return data


def missing(path: Path, error: OSError) -> MissingFileError:
    """The error for a file of a network that is not there."""
    pickles = pickles_among(each.name for each in path.parent.glob("*"))
    if path.name == WEIGHTS and pickles:
        return only_pickles(str(path.parent), pickles)
    return MissingFileError(
        f"{path} cannot be read: {error.strerror}", f"a network's folder holds {CONFIG} and {WEIGHTS}"
    )


def pickles_among(names: Iterable[str]) -> list[str]:
    """Weights that are pickles, where none are safetensors."""
    kinds = {name: Path(name).suffix for name in names}
    if ".safetensors" in kinds.values():
        return []
    return sorted(name for name, kind in kinds.items() if kind in PICKLES)


def only_pickles(where: str, names: Sequence[str]) -> MissingFileError:
    """The error for weights that are offered as pickles alone."""
    return MissingFileError(
        f"{where} has no {WEIGHTS}, only {names[0]}; a pickle can run any code when it is read",
        "ask its owner for safetensors",
    )


def set_weights(model: Network, tensors: dict[str, torch.Tensor], where: str) -> None:
    """Give a network its weights, all of them and no others.

    Raises:
        WeightsError: If names, shapes or kinds differ.
    """
    if not all(tensor.is_floating_point() for tensor in tensors.values()):
        raise WeightsError(f"the weights in {where} are not floating-point numbers", "take others")
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise WeightsError(
            f"the weights in {where} are not those of the network in its config", "fetch both again"
        ) from error


def weights_of(model: Network) -> dict[str, torch.Tensor]:
    """A network's weights, contiguous, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def to_json(values: dict[str, Any]) -> bytes:
    """JSON for people and programs: indented, in the order given."""
    return (json.dumps(values, indent=2) + "\n").encode()
