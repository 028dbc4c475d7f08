"""A network's folder: config.json, model.safetensors, and the documents training.json and evaluation.json."""

from __future__ import annotations

import json
import re
import shutil
from errno import EINVAL, ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from mfsynth import schema
from mfsynth.errors import OutputError
from mfsynth.limits import NETWORK_DOCUMENT_BYTES, WEIGHTS_HEADER_BYTES
from mfsynth.storage import digest, write
from zoo.errors import ConfigError, DamagedError, MissingFileError, WeightsError, ZooError
from zoo.networks import Config, Network

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TRAINING = "training.json"
EVALUATION = "evaluation.json"
FILES = (CONFIG, WEIGHTS, TRAINING, EVALUATION)
"""The files of a network that programs read; the last two are optional."""
AnyNetwork = TypeVar("AnyNetwork", bound=Network)
SCRATCH = ".pull"
"""What a copy to a folder writes first; a kill leaves it there."""
_RELEASE = re.compile(r"[\w.+-]{1,40}")
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
        raise _damaged(folder / WEIGHTS, str(error)) from error
    set_weights(model, tensors, str(folder / WEIGHTS))
    model.documents = {name: files[name] for name in (TRAINING, EVALUATION) if name in files}
    return model.eval()


def config_in(folder: Path, files: Mapping[str, bytes]) -> Config:
    """The config in files of a network's folder.

    Raises:
        ConfigError: As for `load_folder`.
    """
    try:
        return Config.read(files[CONFIG], release_of(files.get(TRAINING)))
    except ConfigError as error:
        raise type(error)(f"{folder / CONFIG}: {error.message}", error.hint) from error


def shapes_of(config: Config) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's weights, by name; nothing is allocated."""
    with torch.device("meta"):
        body = config.build()  # not a whole network: drawing weights there takes seconds for the first time
    return {f"body.{name}": tuple(value.shape) for name, value in body.state_dict().items()}


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the tensors in a safetensors file, by name; only its header is read.

    Raises:
        MissingFileError, DamagedError: If there is no such file, or it is not a safetensors file.
    """
    if not path.is_file():
        raise missing(path, FileNotFoundError(ENOENT, "No such file"))
    try:
        with path.open("rb") as start:
            size = int.from_bytes(start.read(8), "little")
        if size > WEIGHTS_HEADER_BYTES:
            raise _damaged(path, f"its header claims {size:,} bytes")
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> DamagedError:
    return DamagedError(f"{path} is damaged: {reason}", "fetch it again")


def _unfitting(where: str) -> WeightsError:
    return WeightsError(f"the weights in {where} do not fit the network in its config", "fetch both again")


def release_of(training: bytes | None) -> str:
    """The release of mfsynth that wrote a training.json; empty if it does not say."""
    if training is None:
        return ""
    try:
        values = schema.decode(training, _Versions, TRAINING, error=ZooError)
    except ZooError:
        return ""
    release = values.versions.get("mfsynth", "")
    return release if isinstance(release, str) and _RELEASE.fullmatch(release) else ""


class _Versions(msgspec.Struct):
    versions: dict[str, Any]


def copy_folder(folder: Path, to: Path, hashes: Mapping[str, str]) -> Path:
    """Copy a network's files to another folder, check them, and replace any other network there.

    They are written into a folder `.pull` in it, and get their places once all are there, the weights last. A
    kill leaves that folder; the next copy removes it.

    Raises:
        MissingFileError, DamagedError: As for `load_folder`.
        OutputError: If a file cannot be written.
    """
    files = {name: data for name in FILES if (data := read_file(folder, name, hashes)) is not None}
    scratch, whole = to / SCRATCH, False
    try:
        shutil.rmtree(scratch, ignore_errors=True)
        for name, data in files.items():
            write(scratch / name, data)
        whole = True
        for name in sorted(FILES, key=WEIGHTS.__eq__):
            if name in files:
                (scratch / name).replace(to / name)
            else:
                (to / name).unlink(missing_ok=True)
        scratch.rmdir()
    except OSError as error:
        raise OutputError(f"cannot write to {to}: {error.strerror or error}") from error
    finally:
        if not whole:
            shutil.rmtree(scratch, ignore_errors=True)
    return to


def read_file(folder: Path, name: str, hashes: Mapping[str, str]) -> bytes | None:
    """The bytes of a file, with its hash checked; None for a missing document.

    Raises:
        MissingFileError, DamagedError: As for `load_folder`.
    """
    path = folder / name
    if not path.exists() and name not in (CONFIG, WEIGHTS) and name not in hashes:
        return None
    if path.exists() and not path.is_file():
        raise missing(path, OSError(EINVAL, "it is not a regular file"))
    try:
        if name != WEIGHTS and path.stat().st_size > NETWORK_DOCUMENT_BYTES:
            raise _damaged(path, f"it has more than {NETWORK_DOCUMENT_BYTES:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise missing(path, error) from error
    if name in hashes and digest(data) != hashes[name]:
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
        raise _unfitting(where) from error


def weights_of(model: Network) -> dict[str, torch.Tensor]:
    """A network's weights, contiguous, on the CPU."""
    return {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}


def to_json(values: dict[str, Any]) -> bytes:
    """JSON for people and programs: indented, in the order given."""
    return (json.dumps(values, indent=2) + "\n").encode()
