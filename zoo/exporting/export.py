"""`mfsynth zoo export`: a network for programs that know nothing of mfsynth."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mfsynth
from mfsynth.errors import OptionsError
from mfsynth.storage import digest, write
from zoo.backends.graph_model import contents
from zoo.backends.graph_runner import GraphRunner
from zoo.exporting.parity import Parity, check, parity
from zoo.exporting.written import READERS, SUFFIXES, session, written
from zoo.graphs.graph import graph_of
from zoo.publishing.info import LICENSE
from zoo.store.files import CONFIG, WEIGHTS, to_json
from zoo.store.find import find
from zoo.store.folder import load_folder

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.exporting.written import Format
    from zoo.graphs.builder import Precision
    from zoo.networks import Config
    from zoo.store.find import Found, Origin

REMEDIES: dict[Precision, str] = {
    "int8": "export it as fp32; fp16 may do as well",
    "fp16": "export it as fp32",
    "fp32": "run it by torch, and report this with the network's files",
}
"""What to do if an exported network decides otherwise than torch."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A network that was exported.

    Attributes:
        files: What was written; the last one describes the others.
        size: Of all, in bytes.
        parity: How alike it decides.
    """

    files: tuple[str, ...]
    size: int
    parity: tuple[Parity, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        parity = {each.picture: each.share for each in self.parity}
        return {"files": list(self.files), "size": self.size, "parity": parity}

    def lines(self) -> list[str]:
        """As lines for people."""
        return [f"{', '.join(self.files)}: {self.size:,} bytes", *(each.line() for each in self.parity)]


def export(
    name: str,
    path: Path,
    *,
    form: Format = "onnx",
    precision: Precision = "fp32",
    revision: str | None = None,
    origin: Origin = "auto",
) -> Exported:
    """Write a network as an ONNX file, or as OpenVINO's two, and a JSON file that describes it.

    Height and width are free, and so is the number of frames of a network for sets. Frames are RGB, float32
    in [0, 1]: `frames`, N x 3 x H x W, for a network for sets, which gives `scores`, N x H x W; for others
    `a` and `b`, P x 3 x H x W, which give `logits`, P x 1 x H x W, of a against b, or `picture`,
    P x 3 x H x W. Sides need 16 pixels or more.

    What is written is opened again and fuses the known pair, and cuts of it with odd sides, before any file
    has its place.

    Args:
        name: As for `zoo.load`.
        path: The file; it ends in .onnx, or .xml for OpenVINO, which puts a .bin beside it.
        form: `onnx` or `openvino`.
        precision: What weights are kept in: `fp16` takes half the size, `int8` a quarter; arithmetic stays in
            float32.
        revision: As for `zoo.load`.
        origin: As for `zoo.load`.

    Raises:
        ExportError: If it decides otherwise than torch; nothing is written.
        OptionsError: If the name of the file does not fit.
        OutputError: If it cannot be written.
        ZooError, HubError: As one of their subclasses, as for `zoo.load`.
    """
    if path.suffix != SUFFIXES[form][0]:
        raise OptionsError(f"{path} does not end in {SUFFIXES[form][0]}", "give such a name with -o")
    found = find(name, revision=revision, origin=origin)
    config, weights = contents(found.folder, found.hashes)
    told = _description(name, found, config, precision)
    graph = graph_of(config, weights, precision=precision, metadata=_as_texts(told))
    files = written(graph, form, precision)
    runtime = READERS[form][0]
    exported = GraphRunner(config, runtime, "fp32", lambda: session(files, form, runtime))
    same = parity(load_folder(found.folder, found.hashes), exported)
    check(same, f"{name} as {form} in {precision}", REMEDIES[precision])
    told |= {
        "files": {path.with_suffix(suffix).name: digest(data) for suffix, data in files.items()},
        "parity": {each.picture: each.share for each in same},
    }
    files = {**files, f"{path.suffix}.json": to_json(told)}
    for suffix, data in files.items():
        write(path.with_suffix(suffix), data)
    names = tuple(str(path.with_suffix(suffix)) for suffix in files)
    return Exported(names, sum(map(len, files.values())), same)


def _description(name: str, found: Found, config: Config, precision: Precision) -> dict[str, Any]:
    """What whoever has the file should know."""
    return {
        "network": name,
        "origin": found.origin,
        "mfsynth": mfsynth.__version__,
        "precision": precision,
        "config": config.to_json(),
        "preprocessing": config.to_json()["preprocessing"],
        "sha256": {each: digest(found.folder / each) for each in (CONFIG, WEIGHTS)},
        "license": LICENSE if found.registered else "",
    }


def _as_texts(values: dict[str, Any]) -> dict[str, str]:
    return {key: each if isinstance(each, str) else json.dumps(each) for key, each in values.items()}
