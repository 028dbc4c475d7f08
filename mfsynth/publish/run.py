"""Publishing: check, gather, push in one commit, and compare what arrived."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfsynth import storage
from mfsynth.console import count
from mfsynth.errors import HubDamagedError, LicenseError, MissingExtraError, OptionsError
from mfsynth.hub import Repository, Upload, listing, push
from mfsynth.publish.licenses import licenses_of, refusal
from mfsynth.shards.layout import MANIFEST
from mfsynth.shards.manifest import Manifest, data_set_at
from mfsynth.storage import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mfsynth.hub import Pushed, RemoteFile
    from mfsynth.publish.contents import Progress
    from mfsynth.publish.licenses import SampleLicense

_EXTRA = ("jinja2", "mlcroissant")


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """What is published, and how.

    Args:
        location: The folder of a finished data set, or its manifest, as a local path or URL.
        repo: `user/name`; the repository is created if needed.
        private: Make it private if it is created.
        revision: Branch; None is `main`. It is created if needed.
        create_pr: Open a pull request instead.
        tag: A tag for the commit.
        accept_licenses: Publish pictures whose licenses forbid derivatives or commercial use, or are unknown.
        dry_run: Show what would be published; change nothing.

    Raises:
        OptionsError: If the repository's name lacks its user.
    """

    location: str | os.PathLike[str]
    repo: str
    private: bool = False
    revision: str | None = None
    create_pr: bool = False
    tag: str | None = None
    accept_licenses: bool = False
    dry_run: bool = False

    def __post_init__(self) -> None:
        if self.repo.count("/") != 1:
            raise OptionsError(f"--repo is {self.repo!r}, it must be user/name")

    @property
    def repository(self) -> Repository:
        """Where it is published."""
        return Repository(self.repo, "dataset", self.revision)


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file's size in bytes and its SHA-256."""

    size: int
    sha256: str

    @staticmethod
    def of(data: bytes | Path) -> FileInfo:
        """The size and hash of bytes or of a file."""
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        return FileInfo(size, digest(data))


@dataclass(frozen=True, slots=True)
class PublishReport:
    """What was published, or would be.

    Attributes:
        url: The repository's page.
        location: What `mfsynth.open` takes.
        files: By path in the repository.
        shards: How many of them are shards.
        licenses: The pictures' licenses, with their samples.
        card: Its text.
        refused: Why publishing would be refused; empty if it would not.
        commit: The commit that now holds the data set; None in a dry run.
        changed: Whether that is a new commit.
        pull_request: Its page, if there is one.
    """

    url: str
    location: str
    files: Mapping[str, FileInfo]
    shards: int
    licenses: tuple[SampleLicense, ...]
    card: str
    refused: str = ""
    commit: str | None = None
    changed: bool = False
    pull_request: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        names = ("url", "location", "commit", "changed", "pull_request", "refused", "shards", "card")
        return {name: getattr(self, name) for name in names} | {
            "files": {name: asdict(info) for name, info in self.files.items()},
            "licenses": [asdict(each.count) | {"limits": each.limits} for each in self.licenses],
        }

    def lines(self) -> list[str]:
        """As lines for people."""
        usage = f'open it with mfsynth.open("{self.location}")'
        if self.commit is None:
            refused = [f"would be refused: {self.refused}"] if self.refused else []
            return [f"would publish at {self.url}:", *self._what(), *refused, "", *self.card.split("\n")]
        if not self.changed:
            return [f"{self.url} has it already, at commit {self.commit}; all hashes are equal", usage]
        where = self.pull_request or f"{self.url}, commit {self.commit}"
        arrived = f"arrived with the hashes of the manifest: {count(self.shards, 'shard')}"
        return [f"published at {where}:", *self._what(), arrived, usage]

    def _what(self) -> list[str]:
        files = [f"{info.size:>14,}  {name}" for name, info in self.files.items()]
        return ["bytes".rjust(14), *files, "samples".rjust(14), *(each.line() for each in self.licenses)]


def publish(
    options: PublishOptions,
    say: Callable[[str], None] = lambda _text: None,
    progress: Progress = lambda _what, _done, _total: None,
) -> PublishReport:
    """Publish a finished data set on the Hugging Face Hub, in one commit, and compare what arrived.

    The folder is left as it is; one at a URL is copied to TMPDIR first. Publishing the same again changes
    nothing; the next run finishes an interrupted one, and does not send again what arrived.

    Args:
        options: What to publish, where, and how.
        say: Called with a line that users should read.
        progress: Called with a stage's name, and how much of it is done and to do.

    Raises:
        MissingExtraError: If a package of the extra `publish` is not installed.
        ShardError: If the folder holds no finished data set, or a damaged one.
        LicenseError: If the pictures' licenses do not allow it.
        HubError: As one of its subclasses; nothing half-published becomes the latest commit.
    """
    need_extra()
    options.repository.checked()
    manifest = Manifest.read(options.location)
    why, advice = ("", "") if options.accept_licenses else refusal(manifest)
    if why and not options.dry_run:
        raise LicenseError(why, advice)
    with local_copy_of(options.location, manifest, progress) as folder:
        report = _publish(options, folder, manifest, say, progress)
    return replace(report, refused=str(LicenseError(why, advice))) if options.dry_run else report


def _publish(
    options: PublishOptions, folder: Path, manifest: Manifest, say: Callable[[str], None], progress: Progress
) -> PublishReport:
    from mfsynth.publish.contents import check_shards, contents

    check_shards(folder, manifest, progress, storage.shown(data_set_at(options.location)[0]))
    files = contents(folder, manifest, options.repository, say, progress)
    report = report_on(options, manifest, files)
    return report if options.dry_run else _send(options, manifest, files, report, progress)


@contextmanager
def local_copy_of(location: str | os.PathLike[str], manifest: Manifest, progress: Progress) -> Iterator[Path]:
    """The folder of a local data set, or a temporary one with the manifest and shards of one at a URL.

    Raises:
        ShardError: If a file cannot be fetched.
    """
    source, where = data_set_at(location)
    if not storage.is_url(source):
        yield Path(source)
        return
    with tempfile.TemporaryDirectory(prefix="mfsynth-") as scratch:
        folder, total = Path(scratch), len(manifest.shards)
        storage.write(folder / MANIFEST, storage.read(where))
        for done, shard in enumerate(manifest.shards, 1):
            with storage.local_copy(storage.join(source, shard.name)) as path:
                path.replace(folder / shard.name)
            progress("fetching shards", done, total)
        yield folder


def need_extra() -> None:
    """Check that the packages for cards and Croissant files are installed, before anything is done.

    Raises:
        MissingExtraError: If a package is not.
    """
    for package in _EXTRA:
        if find_spec(package) is None:
            raise MissingExtraError(package, "publish")


def report_on(
    options: PublishOptions, manifest: Manifest, files: Mapping[str, bytes | Path]
) -> PublishReport:
    """What is going to be published; the shards' hashes come from the manifest and have been checked."""
    from mfsynth.publish.contents import CARD

    shards = {shard.name: FileInfo(shard.size, shard.sha256) for shard in manifest.shards}
    card = files[CARD]
    return PublishReport(
        options.repository.url,
        location(options.repo, options.revision),
        {name: shards.get(name) or FileInfo.of(data) for name, data in files.items()},
        len(shards),
        licenses_of(manifest),
        card.decode() if isinstance(card, bytes) else "",
    )


def _send(
    options: PublishOptions,
    manifest: Manifest,
    files: Mapping[str, bytes | Path],
    report: PublishReport,
    progress: Progress,
) -> PublishReport:
    from mfsynth.publish.contents import stale_in

    upload = Upload(
        files,
        f"Publish {manifest.split}: {count(manifest.samples, 'sample')} in {count(report.shards, 'shard')}",
        options.private,
        options.create_pr,
        options.tag,
        stale_in(options.repository, manifest),
    )
    pushed = push(options.repository, upload, lambda *count: progress("sending files", *count))
    revision = revision_of(pushed)
    check_arrived(listing(options.repository, revision), report.files, files)
    return replace(
        report,
        location=location(options.repo, revision if pushed.pull_request else options.revision),
        commit=pushed.commit,
        changed=pushed.changed,
        pull_request=pushed.pull_request,
    )


def location(repo: str, revision: str | None) -> str:
    """What `mfsynth.open` takes for a data set on the Hub.

    >>> location("ann/pairs", "refs/pr/1")
    'hf://datasets/ann/pairs@refs/pr/1'
    """
    return f"hf://datasets/{repo}@{revision}" if revision else f"hf://datasets/{repo}"


def revision_of(pushed: Pushed) -> str:
    """Where to look for what was pushed: the commit, or the pull request's own branch."""
    if pushed.pull_request is None:
        return pushed.commit
    return f"refs/pr/{pushed.pull_request.rpartition('/')[2]}"


def check_arrived(
    held: Mapping[str, RemoteFile], expected: Mapping[str, FileInfo], sent: Mapping[str, bytes | Path]
) -> None:
    """Compare what a repository holds with what was sent.

    Args:
        held: What the Hub says: SHA-256 of large files, git's hash of small ones.
        expected: Sizes and SHA-256, those of shards from the manifest.
        sent: The content, for files that the Hub gives git's hash of.

    Raises:
        HubDamagedError: If a file is missing, or differs.
    """
    for name, info in expected.items():
        file = held.get(name)
        if file is None:
            raise HubDamagedError(f"{name} has not arrived", "publish again")
        same = FileInfo(file.size, file.sha256) == info if file.sha256 else file.matches(sent[name])
        if not same:
            raise HubDamagedError(
                f"{name} has not arrived as it was sent: the hashes differ", "publish again"
            )
