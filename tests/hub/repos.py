"""Repositories in memory, with a history like git's: commits, branches, tags, pull requests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import PurePosixPath
from typing import Literal

from hub.refusal import RefusedError, revision_not_found

Kind = Literal["models", "datasets"]
KINDS: tuple[Kind, ...] = ("models", "datasets")

LFS_SUFFIXES = ("bin", "ckpt", "npy", "npz", "parquet", "pt", "pth", "safetensors", "tar", "tar.*", "zip")
GITATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)
"""As in a new repository on the public Hub: files with these names are LFS, whatever their size."""

FIRST_DATE = datetime(2026, 1, 1, tzinfo=UTC)


def git_blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@dataclass(frozen=True)
class File:
    data: bytes
    lfs: bool = False

    @property
    def size(self) -> int:
        return len(self.data)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def blob_id(self) -> str:
        """Git's id of the data itself."""
        return git_blob_id(self.data)

    @cached_property
    def pointer(self) -> bytes:
        """What git stores in place of an LFS file."""
        lines = (
            "version https://git-lfs.github.com/spec/v1",
            f"oid sha256:{self.sha256}",
            f"size {self.size}",
        )
        return "".join(f"{line}\n" for line in lines).encode()

    @cached_property
    def oid(self) -> str:
        """Git's id of what git stores."""
        return git_blob_id(self.pointer) if self.lfs else self.blob_id


@dataclass(frozen=True)
class Commit:
    id: str
    parent: str | None
    title: str
    message: str
    author: str
    date: str
    files: Mapping[str, File]


@dataclass(frozen=True)
class Note:
    """Title, message and author of a commit."""

    title: str
    message: str = ""
    author: str = "hub"


@dataclass(frozen=True)
class Discussion:
    number: int
    title: str
    author: str
    date: str
    base: str | None
    """The branch that a pull request is for; None for a mere discussion."""


@dataclass
class Repo:
    kind: Kind
    id: str
    private: bool = False
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """Commit ids by full name, such as refs/heads/main."""
    discussions: dict[int, Discussion] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    """LFS files by SHA-256, committed or not."""

    def __post_init__(self) -> None:
        files = {".gitattributes": File(GITATTRIBUTES.encode())}
        self.refs["refs/heads/main"] = self._commit(None, files, Note("initial commit")).id

    @property
    def namespace(self) -> str:
        return self.id.partition("/")[0]

    @property
    def path(self) -> str:
        """The path of its page."""
        return f"/{self.id}" if self.kind == "models" else f"/{self.kind}/{self.id}"

    @property
    def head(self) -> str:
        return self.refs["refs/heads/main"]

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Content by path, for tests."""
        return {path: file.data for path, file in self.resolve(revision).files.items()}

    def named(self, prefix: str) -> dict[str, str]:
        """Commit ids of branches ("refs/heads/"), tags or pull requests, by short name."""
        found = [(ref, commit) for ref, commit in self.refs.items() if ref.startswith(prefix)]
        return {ref.removeprefix(prefix): commit for ref, commit in sorted(found)}

    def resolve(self, revision: str) -> Commit:
        """The commit that a branch, tag, ref, or full or short hash names."""
        for prefix in ("", "refs/heads/", "refs/tags/"):
            if prefix + revision in self.refs:
                return self.commits[self.refs[prefix + revision]]
        found = [commit for commit in self.commits.values() if commit.id.startswith(revision)]
        if len(revision) < 5 or len(found) != 1:
            raise revision_not_found(revision)
        return found[0]

    def writable_ref(self, revision: str) -> str:
        """The full name of a branch or a pull request, the refs that can receive commits."""
        for ref in (revision, f"refs/heads/{revision}"):
            if ref in self.refs and not ref.startswith("refs/tags/"):
                return ref
        raise revision_not_found(revision)

    def history(self, commit: Commit) -> Iterator[Commit]:
        """The commits up to this one, newest first."""
        yield commit
        while commit.parent is not None:
            commit = self.commits[commit.parent]
            yield commit

    def add_ref(self, ref: str, commit: str) -> None:
        if ref in self.refs:
            raise RefusedError(409, f"Reference already exists: {ref}")
        self.refs[ref] = commit

    def remove_ref(self, ref: str) -> None:
        if ref not in self.refs:
            raise revision_not_found(ref)
        del self.refs[ref]

    def commit(self, ref: str, files: Mapping[str, File], note: Note) -> Commit:
        """Move a branch to a new commit with exactly these files."""
        commit = self._commit(self.refs[ref], files, note)
        self.refs[ref] = commit.id
        return commit

    def open(self, title: str, author: str, base: str | None, start: str) -> Discussion:
        """Open a discussion; a pull request for the branch `base` gets its own ref, at the commit `start`."""
        number = len(self.discussions) + 1
        discussion = Discussion(number, title, author, self._now(), base)
        self.discussions[number] = discussion
        if base is not None:
            self.refs[f"refs/pr/{number}"] = start
        return discussion

    def wants_lfs(self, path: str, size: int, threshold: int) -> bool:
        """Whether a file is LFS, by main's .gitattributes or by size; empty ones never are."""
        if size == 0:
            return False
        return size >= threshold or any(fnmatchcase(PurePosixPath(path).name, p) for p in self._patterns())

    def _patterns(self) -> list[str]:
        attributes = self.resolve("main").files.get(".gitattributes")
        lines = attributes.data.decode().splitlines() if attributes else []
        return [line.split()[0] for line in lines if "filter=lfs" in line]

    def _commit(self, parent: str | None, files: Mapping[str, File], note: Note) -> Commit:
        tree = sorted((path, file.oid) for path, file in files.items())
        # The count makes equal commits differ, as their times do in git.
        identity = (len(self.commits), self.kind, self.id, parent, tree, note)
        commit_id = hashlib.sha1(repr(identity).encode()).hexdigest()
        commit = Commit(commit_id, parent, note.title, note.message, note.author, self._now(), dict(files))
        self.commits[commit_id] = commit
        return commit

    def _now(self) -> str:
        """The time: one minute later after each commit."""
        now = FIRST_DATE + timedelta(minutes=len(self.commits))
        return now.strftime("%Y-%m-%dT%H:%M:%S.000Z")
