"""Publishing a network on the Hugging Face Hub, with its card."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mfsynth.errors import HubDamagedError, OptionsError
from mfsynth.hub import Repository, Upload, fetch
from mfsynth.hub import push as push_files
from mfsynth.locks import locked
from mfsynth.storage import digest, scrubbed
from zoo.errors import ZooError
from zoo.networks import Config, Network
from zoo.publishing.cards import model_card, training_of
from zoo.publishing.example import check, fuse_example
from zoo.store.files import EVALUATION, FILES, TRAINING
from zoo.store.find import find
from zoo.store.folder import network_of, read_files, save_folder
from zoo.store.registry import models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_LICENSE = re.compile(r"[a-z0-9][a-z0-9.-]*")
README = "README.md"
EXAMPLE = "example.jpg"
CURVE = "curve.png"
DOCUMENTS = (TRAINING, EVALUATION)
LOGS = {"log.csv": b"step,", "validation.csv": b"step,", CURVE: b"\x89PNG\r\n\x1a\n"}
"""Files of a training run that others may want to see, and how they begin."""


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did, or would do.

    Attributes:
        repository: Its name.
        url: Its page.
        files: SHA-256 of every file, by name.
        sizes: Size of every file in bytes, by name.
        card: The text of the card.
        commit: The commit that now holds the network; None in a dry run.
        changed: Whether that is a new commit.
        pull_request: The page of the pull request, if there is one.
        entry: What to paste into registry.toml; empty without a commit on a branch.
    """

    repository: str
    url: str
    files: Mapping[str, str]
    sizes: Mapping[str, int]
    card: str
    commit: str | None = None
    changed: bool = False
    pull_request: str | None = None
    entry: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        names = ("repository", "url", "commit", "changed", "pull_request", "card", "entry")
        return {name: getattr(self, name) for name in names} | {
            "files": {name: {"sha256": self.files[name], "size": self.sizes[name]} for name in self.files}
        }

    def lines(self) -> list[str]:
        """As lines for people."""
        files = [f"  {self.sizes[name]:>10,}  {name}" for name in self.files]
        if self.commit is None:
            return [f"would publish at {self.url}:", *files, "", *self.card.split("\n")]
        where = self.pull_request or f"{self.url}, commit {self.commit}"
        registry = ["", "for zoo/store/registry.toml:", "", *self.entry.split("\n")] if self.entry else []
        done = [f"published at {where}:", *files] if self.changed else [f"{where} already has it"]
        return [*done, *registry]


def push(
    network: str | os.PathLike[str] | Network,
    repo_id: str,
    *,
    license: str,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> PushReport:
    """Publish a network on the Hugging Face Hub with a card, in one commit, and check what arrived.

    First the folder is loaded strictly and fuses a known pair. Pushing the same again changes nothing; the
    next push finishes an interrupted one.

    Args:
        network: A network, its folder, or a short name.
        repo_id: `user/name`; the repository is created if needed.
        license: License of the weights, as the Hub names it, such as `apache-2.0` or `cc-by-nc-4.0`.
        private: Make it private if it is created.
        revision: Branch, created if it is missing; None means `main`.
        create_pr: Open a pull request instead.
        tag: A tag for the commit.
        dry_run: Show files and card, and change nothing.
        progress: Called with the number of files sent and the number in all.

    Raises:
        OptionsError: If the license or the repository is not a name, or the options contradict each other.
        OutputError: If a training, a pull or another push works on the folder.
        HubError: As one of its subclasses; nothing half-published becomes the latest commit.
        ZooError: If the network is broken.
    """
    if not _LICENSE.fullmatch(license):
        raise OptionsError(f"license is {license!r}", "give the Hub's name for it, such as apache-2.0")
    target = Repository(repo_id, "model", revision).checked()
    if tag is not None and create_pr:
        raise OptionsError("a pull request cannot be tagged", "tag the commit once it is merged")
    with _folder_of(network) as (folder, known):
        files = contents(folder, repo_id, license, known)
    hashes = {name: digest(data) for name, data in files.items()}
    card = files[README].decode()
    report = PushReport(repo_id, target.url, hashes, {name: len(data) for name, data in files.items()}, card)
    if dry_run:
        return report
    upload = Upload(files, f"Publish {repo_id.rpartition('/')[2]}", private, create_pr, tag, is_ours)
    pushed = push_files(target, upload, progress)
    check_arrived(Repository(repo_id, "model", pushed.commit), hashes)
    return PushReport(
        report.repository,
        report.url,
        hashes,
        report.sizes,
        card,
        pushed.commit,
        pushed.changed,
        pushed.pull_request,
        "" if create_pr else registry_entry(repo_id, pushed.commit, hashes),
    )


def is_ours(path: str) -> bool:
    """Whether a push writes this file of a repository, so that an older network's must be removed."""
    return path in (*FILES, *LOGS, EXAMPLE)


def contents(folder: Path, repo_id: str, license: str, hashes: Mapping[str, str]) -> dict[str, bytes]:
    """The files of a network's folder that a repository will hold, by name: the very bytes that were checked.

    Raises:
        ZooError: If the network is broken, another file is not of it, or a document of it holds a password.
    """
    files = read_files(folder, hashes)
    model = network_of(folder, files, Network)
    _check_training(folder, model)
    example = fuse_example(model)
    check(example)
    logs = {name: _log(folder / name) for name in LOGS if (folder / name).is_file()}
    curve = CURVE if CURVE in logs else ""
    card = model_card(model, license=license, repository=repo_id, picture=EXAMPLE, curve=curve)
    for name in DOCUMENTS:
        _check_shareable(name, files.get(name, b"").decode(errors="replace"))
    return {README: str(card).encode(), **files, EXAMPLE: example.picture(), **logs}


def _check_training(folder: Path, model: Network) -> None:
    """Check that training.json, if there is one, is about this network."""
    options = training_of(model).get("options", {})
    if "model" in options and Config.from_json(options["model"]) != model.config:
        raise ZooError(f"{folder / TRAINING} describes another network", "remove it, or train again")


def _log(path: Path) -> bytes:
    """The bytes of a file that a training run left, and others will see."""
    data = path.read_bytes()
    if not data.startswith(LOGS[path.name]):
        raise ZooError(f"{path} is not what a training run writes", "remove it")
    return data


def _check_shareable(name: str, text: str) -> None:
    """Check that a document gives nobody access to anything; those of earlier releases may."""
    if scrubbed(text) != text:
        raise ZooError(
            f"{name} holds a URL with a password or a query, or an access token", f"remove it from {name}"
        )


def check_arrived(repository: Repository, hashes: Mapping[str, str]) -> None:
    """Download a commit into an empty cache and compare.

    Raises:
        HubDamagedError: If a file is not what was sent.
    """
    with TemporaryDirectory() as cache:
        snapshot = fetch(repository, list(hashes), cache=Path(cache))
        for name, sha256 in hashes.items():
            if name not in snapshot.names or digest(snapshot.folder / name) != sha256:
                raise HubDamagedError(f"{name} of {repository} is not what was sent", "push again")


def registry_entry(repo_id: str, commit: str, hashes: Mapping[str, str]) -> str:
    """The lines of registry.toml that give a pushed network a short name."""
    name = repo_id.rpartition("/")[2]
    known = models().get(name)
    files = [f'files."{each}" = "{hashes[each]}"' for each in FILES if each in hashes]
    summary = f'summary = "{known.summary if known else ""}"'
    lines = [f'[models."{name}"]', summary, f'repository = "{repo_id}"', f'commit = "{commit}"', *files]
    return "\n".join(lines) + "\n"


@contextmanager
def _folder_of(
    network: str | os.PathLike[str] | Network,
) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """A network's folder, and the hashes that its files must have."""
    if not isinstance(network, Network):
        found = find(network)
        with locked(found.folder, "command"):  # not while a training or a pull writes there
            yield found.folder, found.hashes
        return
    with TemporaryDirectory() as folder:
        save_folder(Path(folder), network)
        yield Path(folder), {}
