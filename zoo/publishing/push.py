"""A network to the Hugging Face Hub, with its card."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mfsynth.errors import HubDamagedError, OptionsError
from mfsynth.hub import Repository, Upload, fetch
from mfsynth.hub import push as push_files
from mfsynth.storage import digest
from zoo.networks import Network
from zoo.publishing.cards import model_card
from zoo.publishing.example import check, fuse_example
from zoo.store.find import find
from zoo.store.folder import FILES, load_folder, save_folder
from zoo.store.registry import entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


README = "README.md"
EXAMPLE = "example.jpg"
CURVE = "curve.png"
LOGS = ("log.csv", "validation.csv", CURVE)
"""What a training leaves that others may want to see."""


@dataclass(frozen=True, slots=True)
class PushReport:
    """What a push did, or would do.

    Attributes:
        repository: Its name.
        url: Its page.
        files: SHA-256 of every file, by name.
        sizes: In bytes, by name.
        card: The card's text.
        commit: Where the network stands now; None in a dry run.
        changed: Whether that is a new commit.
        pull_request: Its page, if there is one.
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
            return [f"would publish at {self.url}:", *files, "", self.card]
        where = self.pull_request or f"{self.url}, commit {self.commit}"
        told = ["", "for zoo/registry.toml, in place of what it has:", "", self.entry] if self.entry else []
        done = [f"published at {where}:", *files] if self.changed else [f"{where} has it already"]
        return [*done, *told]


def push(
    network: str | os.PathLike[str] | Network,
    repo_id: str,
    *,
    private: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> PushReport:
    """Publish a network on the Hugging Face Hub with a card, in one commit, and check what arrived.

    The folder is loaded strictly and fuses a known pair first. Pushing the same again changes nothing; an
    interrupted push is finished by the next.

    Args:
        network: A network, its folder, or a short name.
        repo_id: `user/name`; the repository is made if need be.
        private: Make it private, if it is made.
        revision: Branch; None is `main`. A missing one is made.
        create_pr: Open a pull request instead.
        tag: To put on the commit.
        dry_run: Show files and card, and touch nothing.
        progress: Told of files sent and to send.

    Raises:
        HubError: By its subclass; nothing half-published is left as the latest commit.
        ZooError: If the folder's network is broken.
    """
    target = Repository(repo_id, "model", revision).checked()
    if tag is not None and create_pr:
        raise OptionsError("a tag cannot be put on a pull request", "tag the commit once it is merged")
    with _folder_of(network) as folder:
        files = contents(folder, repo_id)
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
    """Whether a file in a repository is one that a push makes: one of an older network has to go."""
    return path in (*FILES, *LOGS, EXAMPLE)


def contents(folder: Path, repo_id: str) -> dict[str, bytes]:
    """What a repository is to hold of a network's folder, by name.

    Raises:
        ZooError: If the folder's network is broken.
    """
    model = load_folder(folder)
    example = fuse_example(model)
    check(example)
    logs = {name: (folder / name).read_bytes() for name in LOGS if (folder / name).is_file()}
    curve = CURVE if CURVE in logs else ""
    card = model_card(model, repository=repo_id, picture=EXAMPLE, curve=curve)
    kept = {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}
    return {README: str(card).encode(), **kept, EXAMPLE: example.picture(), **logs}


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
    """What makes a pushed network a short name: lines for registry.toml."""
    name = repo_id.rpartition("/")[2]
    known = entries().get(name)
    files = [f'files."{each}" = "{hashes[each]}"' for each in FILES if each in hashes]
    summary = f'summary = "{known.summary if known else ""}"'
    lines = [f'[models."{name}"]', summary, f'repository = "{repo_id}"', f'commit = "{commit}"', *files]
    return "\n".join(lines) + "\n"


@contextmanager
def _folder_of(network: str | os.PathLike[str] | Network) -> Iterator[Path]:
    if not isinstance(network, Network):
        yield find(network).folder
        return
    with TemporaryDirectory() as folder:
        save_folder(Path(folder), network)
        yield Path(folder)
