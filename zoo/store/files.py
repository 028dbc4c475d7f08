"""The files of a network's folder: config.json, model.safetensors, training.json and evaluation.json.

Nothing here needs torch; `zoo.store.folder` makes networks of them.
"""

from __future__ import annotations

import json
import re
import shutil
from errno import EINVAL, ENOENT
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from safetensors import SafetensorError, safe_open

from mfsynth import schema
from mfsynth.errors import OutputError
from mfsynth.limits import NETWORK_DOCUMENT_BYTES, WEIGHTS_HEADER_BYTES
from mfsynth.storage import digest, write
from zoo.errors import ConfigError, DamagedError, MissingFileError, ZooError
from zoo.networks import Config

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
TRAINING = "training.json"
EVALUATION = "evaluation.json"
FILES = (CONFIG, WEIGHTS, TRAINING, EVALUATION)
"""The files of a network that programs read; the last two are optional."""
SCRATCH = ".pull"
"""What a copy to a folder writes first; a kill leaves it there."""
_RELEASE = re.compile(r"[\w.+-]{1,40}")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def config_in(folder: Path, files: Mapping[str, bytes]) -> Config:
    """The config in files of a network's folder.

    Raises:
        ConfigError: As for `load_folder`.
    """
    try:
        return Config.read(files[CONFIG], release_of(files.get(TRAINING)))
    except ConfigError as error:
        raise type(error)(f"{folder / CONFIG}: {error.message}", error.hint) from error


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
            raise damaged(path, f"its header claims {size:,} bytes")
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, reason: str) -> DamagedError:
    """The error for a file that cannot be what it should be."""
    return DamagedError(f"{path} is damaged: {reason}", "fetch it again")


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
            raise damaged(path, f"it has more than {NETWORK_DOCUMENT_BYTES:,} bytes")
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


def to_json(values: dict[str, Any]) -> bytes:
    """JSON for people and programs: indented, in the order given."""
    return (json.dumps(values, indent=2) + "\n").encode()
