"""A network's folder: config.json, model.safetensors, and the documents training.json and evaluation.json."""

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
"""The files of a network that programs read; the last two are optional."""
AnyNetwork = TypeVar("AnyNetwork", bound=Network)
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


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
    """Copy a network's files to another folder, check them, and replace any other network there.

    Raises:
        MissingFileError, DamagedError: As for `load_folder`.
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
    """The bytes of a file, with its hash checked; None for a missing document.

    Raises:
        MissingFileError, DamagedError: As for `load_folder`.
    """
    path = folder / name
    if not path.exists() and name not in (CONFIG, WEIGHTS) and name not in hashes:
        return None
    try:
        data = path.read_bytes()
    except OSError as error:
        raise missing(path, error) from error
    if name in hashes and hashlib.sha256(data).hexdigest() != hashes[name]:
        raise DamagedError(f"{path} is not the expected file: its SHA-256 differs", "fetch it again")
    return data


def missing(path: Path, error: OSError) -> MissingFileError:
    """The error for a missing file of a network."""
    pickles = pickles_among(each.name for each in path.parent.glob("*"))
    if path.name == WEIGHTS and pickles:
        return only_pickles(str(path.parent), pickles)
    return MissingFileError(
        f"{path} cannot be read: {error.strerror}", f"the folder of a network holds {CONFIG} and {WEIGHTS}"
    )


def pickles_among(names: Iterable[str]) -> list[str]:
    """The pickles among file names, if none of them is a safetensors file."""
    kinds = {name: Path(name).suffix for name in names}
    if ".safetensors" in kinds.values():
        return []
    return sorted(name for name, kind in kinds.items() if kind in PICKLES)


def only_pickles(where: str, names: Sequence[str]) -> MissingFileError:
    """The error for weights that are only offered as pickles."""
    return MissingFileError(
        f"{where} has no {WEIGHTS}, only {names[0]}; reading a pickle can run any code",
        "ask the owner for safetensors",
    )


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
        raise WeightsError(
            f"the weights in {where} do not fit the network in its config", "fetch both again"
        ) from error


def weights_of(model: Network) -> dict[str, torch.Tensor]:
    """A network's weights, contiguous, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def to_json(values: dict[str, Any]) -> bytes:
    """JSON for people and programs: indented, in the order given."""
    return (json.dumps(values, indent=2) + "\n").encode()
