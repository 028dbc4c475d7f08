"""The Hugging Face Hub, for models and data sets: with `hub_errors` the only file that calls its client.

The client's own settings apply: HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, tokens, proxies. No token is read here.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mfsynth.errors import HubConflictError, HubDamagedError, HubError
from mfsynth.hub_errors import hub_errors
from mfsynth.storage import digest
from mfsynth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from huggingface_hub import CommitOperationAdd, HfApi

RepoType = Literal["model", "dataset"]
MAIN = "main"
_LIBRARY: dict[str, Any] = {"library_name": "mfsynth", "library_version": __version__}
_SHA256 = re.compile("[0-9a-f]{64}")
_BATCH = 32
"""Number of files that are sent between two reports of progress."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository, and a revision of it.

    Args:
        id: `user/name` or `organization/name`.
        type: `model` or `dataset`.
        revision: Branch, tag or commit; None means `main`.
    """

    id: str
    type: RepoType = "model"
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id

    def checked(self) -> Repository:
        """Itself, if its name is valid.

        Raises:
            HubError: If not.
        """
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        with hub_errors(self):
            validate_repo_id(self.id)
        if "/" not in self.id:
            raise HubError(f"{self.id!r} is not the full name of a repository", "write user/name")
        return self

    @property
    def url(self) -> str:
        """Its page."""
        from huggingface_hub import constants

        kind = "datasets/" if self.type == "dataset" else ""
        return f"{constants.ENDPOINT}/{kind}{self.id}"

    @property
    def names(self) -> dict[str, Any]:
        """Its name and type, as the client's functions take them."""
        return {"repo_id": self.id, "repo_type": self.type}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the Hub says about a file: size in bytes, and one of two hashes as hexadecimal text.

    `sha256` is the hash of a large file's bytes; `git` is git's SHA-1 of a small file's blob.
    """

    size: int
    git: str
    sha256: str | None = None

    def matches(self, data: bytes | Path) -> bool:
        """Whether these are the bytes of the file."""
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        if size != self.size:
            return False
        if self.sha256 is not None:
            return digest(data) == self.sha256
        return digest(data, hashlib.sha1(f"blob {size}\0".encode())) == self.git


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files of a repository at a commit, in the client's cache; `names` lists all files of the commit."""

    folder: Path
    commit: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """What a repository should hold after a push, and how it gets there.

    Args:
        files: By path in the repository: bytes, or a local file.
        message: Of the commit.
        private: Make the repository private, if it is created; an existing one stays as it is.
        create_pr: Open a pull request instead of changing the branch.
        tag: A tag to put on the commit.
        stale: Whether the commit removes a path that is in the repository but not in `files`.
    """

    files: Mapping[str, bytes | Path]
    message: str
    private: bool = False
    create_pr: bool = False
    tag: str | None = None
    stale: Callable[[str], bool] = lambda _path: False


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: the commit, whether it is new, and the page of the pull request, if there is one."""

    repository: Repository
    commit: str
    changed: bool
    pull_request: str | None = None


# --- reading ------------------------------------------------------------------------------------------


def fetch(
    repository: Repository,
    names: Sequence[str],
    *,
    cache: Path | None = None,
    token: str | bool | None = None,
    force: bool = False,
    local: bool = False,
) -> Snapshot:
    """Download files and check each against the hash that the Hub gives, including those in the cache.

    Args:
        repository: Where they are; a branch or tag is resolved once, so that all files are of one commit.
        names: Paths in the repository; those that it does not have are skipped.
        cache: The folder to keep them in; None means the client's own.
        token: As for the client: None takes the user's, False sends none.
        force: Download even what is cached.
        local: Use only the cache.

    Raises:
        HubError: As one of its subclasses: no connection, no permission, no such repository or revision,
            damaged bytes.
    """
    from huggingface_hub import snapshot_download

    with hub_errors(repository):
        folder = snapshot_download(
            **repository.names,
            revision=repository.revision,
            allow_patterns=list(names),
            cache_dir=cache,
            token=token,
            force_download=force,
            local_files_only=local,
            **_LIBRARY,
        )
        snapshot = Path(folder)
        held = _held(repository, snapshot.name, cache, token)
    files = {name: _hashed(snapshot / name, held[name]) for name in names if name in held}
    if None in files.values():  # the cache has no blobs that are named by their hashes
        files = {name: listing(repository, snapshot.name, token)[name] for name in files}
    for name, file in files.items():
        if file is not None and not file.matches(snapshot / name):
            _forget(snapshot / name)
            raise HubDamagedError(
                f"{name} of {repository} is damaged: its hash is not what the Hub says",
                "the bad copy was removed; try again",
            )
    return Snapshot(snapshot, snapshot.name, tuple(held))


def _held(
    repository: Repository, commit: str, cache: Path | None, token: str | bool | None
) -> dict[str, RemoteFile]:
    """All files of a commit: as the download recorded them (hashes only of small ones), or from the Hub."""
    from huggingface_hub import get_cached_repo_tree, is_offline_mode
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        found = get_cached_repo_tree(**repository.names, revision=commit, cache_dir=cache)
        return {each.path: _remote(each) for each in found}
    except CachedRepoTreeNotFoundError:
        if is_offline_mode():
            return {}
        return listing(repository, commit, token)


def _hashed(path: Path, file: RemoteFile) -> RemoteFile | None:
    """A cached file with its hash: its blob is named by the hash that the Hub gave."""
    blob = path.resolve().name
    if _SHA256.fullmatch(blob):
        return replace(file, sha256=blob)
    return file if blob == file.git else None


def listing(repository: Repository, commit: str, token: str | bool | None = None) -> dict[str, RemoteFile]:
    """All files of a commit, by path.

    Raises:
        HubError: If the Hub does not answer.
    """
    from huggingface_hub import RepoFile

    with hub_errors(repository):
        tree = _api(token).list_repo_tree(**repository.names, revision=commit, recursive=True)
        return {each.path: _remote(each) for each in tree if isinstance(each, RepoFile)}


def commit_of(repository: Repository) -> str:
    """The commit of a repository's revision.

    Raises:
        HubError: If there is no such repository or revision, or no permission to read it.
    """
    with hub_errors(repository):
        return str(_api().repo_info(**repository.names, revision=repository.revision).sha)


def _remote(file: Any) -> RemoteFile:
    return RemoteFile(file.size, file.blob_id, file.lfs.sha256 if file.lfs else None)


def _forget(path: Path) -> None:
    """Remove a cached file, so that it is downloaded again."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


# --- writing ------------------------------------------------------------------------------------------


def push(
    repository: Repository, upload: Upload, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Pushed:
    """Bring a branch to a state in one commit: everything arrives, or nothing does.

    What the branch already holds is not sent again, and if nothing changes there is no commit. The next push
    reuses the bytes that an interrupted one has sent.

    Args:
        repository: Where to push; the repository and its branch are created if they are missing.
        upload: What it should hold.
        progress: Called with the number of files sent and the number in all.

    Raises:
        HubError: As one of its subclasses: no connection, no permission, someone else pushed meanwhile, or a
            tag that is taken.
    """
    with hub_errors(repository):
        head = _prepare(repository, upload)
        held = listing(repository, head)
        changed = {path: data for path, data in upload.files.items() if not _holds(held, path, data)}
        stale = [path for path in held if path not in upload.files and upload.stale(path)]
        _check_tag(repository, upload.tag, head if not changed and not stale else None)
        if changed or stale:
            pushed = _commit(repository, upload, head, changed, stale, progress)
        else:
            pushed = Pushed(repository, head, changed=False)
        if upload.tag is not None:
            _api().create_tag(**repository.names, tag=upload.tag, revision=pushed.commit, exist_ok=True)
            _check_tag(repository, upload.tag, pushed.commit)  # someone else may have been faster
    return pushed


def _prepare(repository: Repository, upload: Upload) -> str:
    """Create the repository and the branch if needed, and return the commit of the branch."""
    api = _api()
    api.create_repo(**repository.names, exist_ok=True, private=True if upload.private else None)
    if upload.private and not api.repo_info(**repository.names).private:
        raise HubConflictError(f"{repository.id} already exists and is public", "choose another name")
    branch = repository.revision or MAIN
    if branch != MAIN and not branch.startswith("refs/") and not upload.create_pr:
        api.create_branch(**repository.names, branch=branch, exist_ok=True)
    return commit_of(repository)


def _holds(held: Mapping[str, RemoteFile], path: str, data: bytes | Path) -> bool:
    return path in held and held[path].matches(data)


def _check_tag(repository: Repository, tag: str | None, commit: str | None) -> None:
    """Refuse a tag that marks another commit, before anything is sent."""
    if tag is None:
        return
    tags = {each.name: each.target_commit for each in _api().list_repo_refs(**repository.names).tags}
    if tag in tags and tags[tag] != commit:
        raise HubConflictError(
            f"the tag {tag} of {repository.id} already marks another commit, {tags[tag][:10]}",
            "choose another name; others may have used the tag, so it should not move",
        )


def _commit(
    repository: Repository,
    upload: Upload,
    head: str,
    changed: Mapping[str, bytes | Path],
    stale: Sequence[str],
    progress: Callable[[int, int], None],
) -> Pushed:
    import httpx2
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    added = [CommitOperationAdd(path, _given(data)) for path, data in changed.items()]
    _send(repository, upload, added, progress)
    removed = [CommitOperationDelete(path) for path in stale]
    try:
        made = _api().create_commit(
            **repository.names,
            operations=[*added, *removed],
            commit_message=upload.message,
            revision=repository.revision,
            parent_commit=head,
            create_pr=upload.create_pr,
        )
    except httpx2.TransportError:
        arrived = None if upload.create_pr else _arrived(repository, upload, head)
        if arrived is None:
            raise
        return Pushed(repository, arrived, changed=True)
    return Pushed(repository, made.oid, changed=True, pull_request=made.pr_url)


def _given(data: bytes | Path) -> bytes | str:
    return str(data) if isinstance(data, Path) else data


def _send(
    repository: Repository,
    upload: Upload,
    added: Sequence[CommitOperationAdd],
    progress: Callable[[int, int], None],
) -> None:
    """Send the bytes of large files; small ones travel with the commit."""
    progress(0, len(added))
    for first in range(0, len(added), _BATCH):
        batch = added[first : first + _BATCH]
        _api().preupload_lfs_files(
            **repository.names,
            additions=batch,
            revision=repository.revision,
            create_pr=upload.create_pr,
            free_memory=False,
        )
        progress(first + len(batch), len(added))


def _arrived(repository: Repository, upload: Upload, before: str) -> str | None:
    """The commit of a push whose answer was lost, if it was made."""
    head = commit_of(repository)
    held = listing(repository, head)
    whole = all(_holds(held, path, data) for path, data in upload.files.items())
    return head if head != before and whole else None


def _api(token: str | bool | None = None) -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(token=token, **_LIBRARY)
