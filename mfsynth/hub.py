"""The Hugging Face Hub: the only room that calls its client, for repositories of models and of data sets.

The client's own settings hold: HF_ENDPOINT, HF_HOME, HF_HUB_OFFLINE, tokens, proxies. No token is read here.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mfsynth import __version__
from mfsynth.errors import (
    HubAccessError,
    HubConflictError,
    HubDamagedError,
    HubError,
    HubLoginError,
    HubMissingError,
    HubNetworkError,
    HubRevisionError,
)
from mfsynth.storage import digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from huggingface_hub import CommitOperationAdd, HfApi

RepoType = Literal["model", "dataset"]
MAIN = "main"
_LIBRARY: dict[str, Any] = {"library_name": "mfsynth", "library_version": __version__}
_SHA256 = re.compile("[0-9a-f]{64}")
_BATCH = 32
"""Files whose bytes are sent before progress is told."""


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository, and where in it.

    Args:
        id: `user/name` or `organisation/name`.
        type: Of models or data sets.
        revision: Branch, tag or commit; None is `main`.
    """

    id: str
    type: RepoType = "model"
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.id}@{self.revision}" if self.revision else self.id

    def checked(self) -> Repository:
        """Itself, if its name can be one.

        Raises:
            HubError: If it cannot.
        """
        from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

        with hub_errors(self):
            validate_repo_id(self.id)
        if "/" not in self.id:
            raise HubError(f"{self.id!r} is no repository's full name", "it looks like user/name")
        return self

    @property
    def url(self) -> str:
        """Its page."""
        from huggingface_hub import constants

        kind = "datasets/" if self.type == "dataset" else ""
        return f"{constants.ENDPOINT}/{kind}{self.id}"

    @property
    def names(self) -> dict[str, Any]:
        """How the client's functions call it."""
        return {"repo_id": self.id, "repo_type": self.type}


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """What the Hub says of a file: size in bytes, and one of two hashes as hex text.

    `sha256` is of the bytes of a large file; `git` is git's SHA-1 of a small one's blob.
    """

    size: int
    git: str
    sha256: str | None = None

    def matches(self, data: bytes | Path) -> bool:
        """Whether these are its bytes."""
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        if size != self.size:
            return False
        if self.sha256 is not None:
            return digest(data) == self.sha256
        return digest(data, hashlib.sha1(f"blob {size}\0".encode())) == self.git


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files of a repository at a commit, in the client's cache; `names` are of all that the commit holds."""

    folder: Path
    commit: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """What is to lie in a repository after a push, and how it gets there.

    Args:
        files: By path in the repository: bytes, or a local file.
        message: The commit's.
        private: Of a repository that is made; one that is there keeps its own.
        create_pr: Open a pull request instead of changing the branch.
        tag: To put on the commit.
        stale: Says of a path that is in the repository and not in `files` whether the commit removes it.
    """

    files: Mapping[str, bytes | Path]
    message: str
    private: bool = False
    create_pr: bool = False
    tag: str | None = None
    stale: Callable[[str], bool] = lambda _path: False


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did: the commit, whether it is a new one, and the pull request's page if there is one."""

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
    """Download files, each checked against the hash that the Hub gives; what is cached is checked, too.

    Args:
        repository: From where; a branch or tag is resolved once, so that all files are of one commit.
        names: Paths in the repository; those that it does not have are left out.
        cache: Folder to keep them in, instead of the client's own.
        token: As for the client: None takes the user's, False sends none.
        force: Download even what is cached.
        local: Ask nobody, take what is cached.

    Raises:
        HubError: By its subclass: no network, no right, no such repository or revision, damaged bytes.
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
    if None in files.values():  # the cache has no blobs with names that say the hash
        files = {name: listing(repository, snapshot.name, token)[name] for name in files}
    for name, file in files.items():
        if file is not None and not file.matches(snapshot / name):
            _forget(snapshot / name)
            raise HubDamagedError(
                f"{name} of {repository} is damaged: its hash is not what the Hub says",
                "the bad copy is removed; try again",
            )
    return Snapshot(snapshot, snapshot.name, tuple(held))


def _held(
    repository: Repository, commit: str, cache: Path | None, token: str | bool | None
) -> dict[str, RemoteFile]:
    """All files of a commit: as the download noted them (hashes of small ones only), or as the Hub says."""
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
    """The hash of a cached file: the name of its blob is the one that the Hub gave."""
    blob = path.resolve().name
    if _SHA256.fullmatch(blob):
        return replace(file, sha256=blob)
    return file if blob == file.git else None


def listing(repository: Repository, commit: str, token: str | bool | None = None) -> dict[str, RemoteFile]:
    """All files of a commit, by path.

    Raises:
        HubError: If the Hub does not tell.
    """
    from huggingface_hub import RepoFile

    with hub_errors(repository):
        tree = _api(token).list_repo_tree(**repository.names, revision=commit, recursive=True)
        return {each.path: _remote(each) for each in tree if isinstance(each, RepoFile)}


def commit_of(repository: Repository) -> str:
    """The commit that a repository's revision stands for.

    Raises:
        HubError: If there is no such repository or revision, or it may not be read.
    """
    with hub_errors(repository):
        return str(_api().repo_info(**repository.names, revision=repository.revision).sha)


def _remote(file: Any) -> RemoteFile:
    return RemoteFile(file.size, file.blob_id, file.lfs.sha256 if file.lfs else None)


def _forget(path: Path) -> None:
    """Remove a cached file, so that the next download brings it anew."""
    path.resolve().unlink(missing_ok=True)
    path.unlink(missing_ok=True)


# --- writing ------------------------------------------------------------------------------------------


def push(
    repository: Repository, upload: Upload, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Pushed:
    """Bring a branch to a state, in one commit: all of it arrives or nothing does.

    What the branch holds already is not sent again, and no commit is made where nothing changes; bytes that
    an interrupted push sent are found by the next one.

    Args:
        repository: To where; the repository and a branch that is missing are made.
        upload: What is to lie there.
        progress: Told of files sent and to send.

    Raises:
        HubError: By its subclass: no network, no right, someone else pushed meanwhile, a tag that is taken.
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
            _check_tag(repository, upload.tag, pushed.commit)  # somebody else may have been faster
    return pushed


def _prepare(repository: Repository, upload: Upload) -> str:
    """Make the repository and the branch if need be; say where the branch stands."""
    api = _api()
    api.create_repo(**repository.names, exist_ok=True, private=True if upload.private else None)
    if upload.private and not api.repo_info(**repository.names).private:
        raise HubConflictError(f"{repository.id} is there already, and public", "choose another name")
    branch = repository.revision or MAIN
    if branch != MAIN and not branch.startswith("refs/") and not upload.create_pr:
        api.create_branch(**repository.names, branch=branch, exist_ok=True)
    return commit_of(repository)


def _holds(held: Mapping[str, RemoteFile], path: str, data: bytes | Path) -> bool:
    return path in held and held[path].matches(data)


def _check_tag(repository: Repository, tag: str | None, commit: str | None) -> None:
    """Refuse a tag that stands elsewhere than it is to stand, before anything is sent."""
    if tag is None:
        return
    tags = {each.name: each.target_commit for each in _api().list_repo_refs(**repository.names).tags}
    if tag in tags and tags[tag] != commit:
        raise HubConflictError(
            f"the tag {tag} of {repository.id} stands at another commit, {tags[tag][:10]}",
            "choose another name; a tag that others may have used should not move",
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
    """The commit of a push whose answer got lost, if it was made after all."""
    head = commit_of(repository)
    held = listing(repository, head)
    whole = all(_holds(held, path, data) for path, data in upload.files.items())
    return head if head != before and whole else None


def _api(token: str | bool | None = None) -> HfApi:
    from huggingface_hub import HfApi

    return HfApi(token=token, **_LIBRARY)


# --- errors -------------------------------------------------------------------------------------------


@contextmanager
def hub_errors(repository: Repository) -> Iterator[None]:
    """Turn the client's errors into ours."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        yield
    except HFValidationError as error:
        raise HubError(f"{repository.id!r} is no repository's name", "it looks like user/name") from error
    except (HfHubHTTPError, httpx2.HTTPError, ConnectionError, FileNotFoundError, ValueError) as error:
        raise translated(error, repository) from error
    except PermissionError as error:
        raise translated(error, repository) from error
    except (OSError, RuntimeError) as error:  # a download of a wrong size, an upload that failed
        if isinstance(error, HubError):
            raise
        cause = error.__cause__
        if isinstance(cause, (HfHubHTTPError, httpx2.HTTPError)):
            raise translated(cause, repository) from error
        if isinstance(error, OSError) and error.errno is not None:
            raise HubError(f"{repository}: {error}", "see to HF_HOME: rights, and free space") from error
        raise HubDamagedError(f"{repository}: {_told_by(error)}", "try again") from error


def translated(error: Exception, repository: Repository) -> HubError:
    """Our error for one of the client's."""
    from huggingface_hub import errors

    if isinstance(error, HubError):
        return error
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return HubAccessError(
            f"{repository}: you may not do this ({_told_by(error)})",
            "ask for access on its page, or use a token that has the right",
        )
    if status == 401:
        return HubLoginError(
            f"{repository} does not exist, or needs a login that is missing or wrong",
            "`hf auth login`, or HF_TOKEN",
        )
    absent = isinstance(error, FileNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError)
    if status is None and (absent or isinstance(error, PermissionError)):
        return HubError(f"{repository}: {error}", "see to HF_HOME: rights, and free space")
    if isinstance(error, errors.RevisionNotFoundError):
        return HubRevisionError(f"{repository.id} has no revision {repository.revision or MAIN!r}")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubMissingError(
            f"there is no {repository.type} {repository.id} on the Hub, or it is another user's private one",
            "check its name",
        )
    if isinstance(error, errors.RemoteEntryNotFoundError) or status == 404:
        return HubMissingError(f"{repository} lacks what was asked for: {_told_by(error)}")
    if status in (409, 412):
        return HubConflictError(f"{repository} was changed by someone else meanwhile", "run it again")
    if status is not None:
        again = "try again later" if status in (408, 429) or status >= 500 else ""
        return HubError(f"{repository}: the Hub answered {status}: {_told_by(error)}", again)
    if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__ is not None:
        cause = error.__cause__
        if isinstance(cause, Exception) and not isinstance(cause, errors.OfflineModeIsEnabled):
            return translated(cause, repository)
    if isinstance(error, ValueError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return HubError(f"{repository}: {_told_by(error)}")
    return HubNetworkError(
        f"the Hub cannot be reached for {repository} ({_told_by(error)})",
        "check the network, proxies and HF_HUB_OFFLINE; what is in the cache can be used without",
    )


def _told_by(error: BaseException) -> str:
    message = getattr(error, "server_message", None) or str(error) or type(error).__name__
    return " ".join(str(message).split()) or type(error).__name__
