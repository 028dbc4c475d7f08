"""One file from a server to disk: resumed, retried, and only then given its name."""

from __future__ import annotations

import errno
import logging
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import httpx2
import msgspec
import tenacity

from mfsynth.errors import DownloadError, MfsynthError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


MIRROR_VARIABLE = "MFSYNTH_COCO_URL"
BASE_URL = "http://images.cocodataset.org"
ZIP_START = b"PK\x03\x04"
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
MIRROR_HINT = f"a mirror with the same layout can be named by {MIRROR_VARIABLE}=https://…"

_Answer = TypeVar("_Answer")

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Told how much of an archive has arrived; `done_bytes` falls back when a transfer starts over."""

    def __call__(self, archive_name: str, done_bytes: int, total_bytes: int, /) -> None:
        """Called at the start of each archive, and with every piece that arrives."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to put up with a server.

    Args:
        tries: Requests in a row that bring nothing, and times that a transfer starts over, before giving up.
        pause: Seconds before the second try; doubled for each further one.
        longest: No pause is longer, in seconds.
        timeout: Seconds without a byte after which a connection counts as broken.
    """

    tries: int = 8
    pause: float = 1.0
    longest: float = 60.0
    timeout: float = 30.0


PATIENCE = Patience()


class Remote(msgspec.Struct, frozen=True):
    """Which file the server has: its size, and its ETag and Last-Modified where they are told."""

    size: int
    etag: str = ""
    modified: str = ""

    @property
    def validator(self) -> str:
        """What If-Range takes: a strong ETag, else a date."""
        return self.modified if self.etag.startswith("W/") else self.etag or self.modified

    def same(self, other: Remote) -> bool:
        """Whether both are one file, as far as can be told."""
        if self.size != other.size:
            return False
        if self.etag and other.etag:
            return self.etag.removeprefix("W/") == other.etag.removeprefix("W/")
        return not (self.modified and other.modified) or self.modified == other.modified


class Part:
    """What has arrived of an archive, and beside it the note of which file it is a part of."""

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = final.with_name(f"{final.name}.part")
        self.note = final.with_name(f"{final.name}.part.json")

    @property
    def hint(self) -> str:
        """What to do after a failure of the network."""
        kept = f"what arrived is kept in {self.path}, " if self.path.is_file() else ""
        return f"{kept}download again to go on; check the network and the address; {MIRROR_HINT}"

    def holds(self, remote: Remote) -> int:
        """How many bytes of the server's file are here; 0 if what is here is of another file."""
        try:
            known = msgspec.json.decode(self.note.read_bytes(), type=Remote)
            size = self.path.stat().st_size
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return 0
        return size if known.same(remote) and size <= remote.size else 0

    def begin(self, remote: Remote) -> None:
        """Start from nothing; in this order, a kill at any point leaves no part with a wrong note."""
        self.discard()
        self.note.write_bytes(msgspec.json.encode(remote))

    def discard(self) -> None:
        """Remove what is here."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def publish(self) -> None:
        """Give the archive its final name, after its bytes have reached the disk."""
        with self.path.open("rb+") as file:
            os.fsync(file.fileno())
        self.path.replace(self.final)
        self.note.unlink(missing_ok=True)
        if os.name == "posix":  # elsewhere a folder cannot be opened
            folder = os.open(self.final.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


class _Setback(Exception):  # noqa: N818 - not an error yet: the request is tried again
    """A request brought nothing, for a reason that may pass; `pause` is what the server asks for."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.pause = pause


class Transfer:
    """One archive on its way from `url` to `part`."""

    def __init__(
        self,
        client: httpx2.Client,
        url: str,
        part: Part,
        remote: Remote,
        patience: Patience,
        progress: Progress | None,
    ) -> None:
        self.client, self.url, self.part, self.remote = client, url, part, remote
        self.patience, self.progress = patience, progress
        self.done = part.holds(remote)
        self.restarts = 0

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return self.remote.size - self.done

    def run(self) -> None:
        """Fetch what is missing, in as many requests as it takes.

        A request that brought something counts as a success, so that only those in a row that brought nothing
        are counted against the tries.
        """
        with disk_errors(self.part.path):
            if not self.done:
                self.part.begin(self.remote)
            self._tell()
            while self.missing > 0:
                patiently(self._advance, self.url, self.patience, self.patience.tries, self.part.hint)
            size = self.part.path.stat().st_size
        if size != self.remote.size:
            self.part.discard()
            raise DownloadError(
                f"{self.url} has {self.remote.size} bytes, but {size} arrived",
                f"what arrived was removed: download again; {MIRROR_HINT}",
            )

    def _advance(self) -> None:
        """Make one request and keep what it brings, even if it breaks off."""
        arrived = 0
        try:
            with _talking(self.url), self.client.stream("GET", self.url, headers=self._range()) as response:
                self._agree(response)
                with self.part.path.open("ab") as file:
                    for chunk in response.iter_raw():
                        self._check_start(chunk, response)
                        file.write(chunk)
                        arrived += len(chunk)
                        self.done += len(chunk)
                        self._tell()
        except _Setback as setback:
            if not arrived:
                raise
            log.warning("%s broke off after %d bytes: %s", self.url, self.done, setback)
        if not arrived:
            raise _Setback("the server sent nothing")

    def _range(self) -> dict[str, str]:
        if not self.done:
            return {}
        headers = {"Range": f"bytes={self.done}-"}
        if self.remote.validator:
            headers["If-Range"] = self.remote.validator
        return headers

    def _agree(self, response: httpx2.Response) -> None:
        """Make sure that what follows continues what is here; else start over."""
        if response.status_code == httpx2.codes.RANGE_NOT_SATISFIABLE and self.done:
            self._start_over(self.remote)
            raise _Setback("the server lacks the rest of the file")
        _raise_for_status(response, self.url)
        if response.status_code == httpx2.codes.PARTIAL_CONTENT:
            start, size = _content_range(response, self.remote.size)
            # some caches overlook If-Range
            if start != self.done or not _remote(response, size).same(self.remote):
                self._start_over(self.remote)
                raise _Setback("the server sent another part than asked for, or of another file")
            return
        remote = _remote(response, _length(response, self.remote.size))
        if self.done or not remote.same(self.remote):
            self._start_over(remote)

    def _start_over(self, remote: Remote) -> None:
        self.restarts += 1
        if self.restarts > self.patience.tries:
            raise DownloadError(
                f"{self.url}: had to start over {self.patience.tries} times: the server does not continue a"
                " transfer that broke off, or its file keeps changing",
                f"try again on a steadier connection; {MIRROR_HINT}",
            )
        log.warning("%s: starting over at byte 0 instead of %d", self.url, self.done)
        self.part.begin(remote)
        self.remote, self.done = remote, 0
        self._tell()

    def _check_start(self, chunk: bytes, response: httpx2.Response) -> None:
        if self.done or ZIP_START.startswith(chunk[: len(ZIP_START)]):
            return
        self.part.discard()
        kind = response.headers.get("Content-Type", "something else")
        raise DownloadError(
            f"{self.url} is {kind} instead of a zip; it begins {chunk[:40]!r}",
            f"open the address in a browser: a login page may be in between; {MIRROR_HINT}",
        )

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.part.final.name, self.done, self.remote.size)


def ask(client: httpx2.Client, url: str) -> Remote:
    """Which file the server has; by GET, without reading it, where HEAD is refused or tells no size."""
    with _talking(url):
        response = client.head(url)
        if response.status_code not in (405, 501):
            _raise_for_status(response, url)
            remote = _remote(response, _length(response))
            if remote.size > 0:
                return remote
        with client.stream("GET", url) as response:
            _raise_for_status(response, url)
            remote = _remote(response, _length(response))
    if remote.size < 1:
        raise DownloadError(f"{url} is empty, or the server does not tell its size", MIRROR_HINT)
    return remote


def _remote(response: httpx2.Response, size: int) -> Remote:
    headers = response.headers
    return Remote(size, headers.get("ETag", ""), headers.get("Last-Modified", ""))


def _length(response: httpx2.Response, unknown: int = 0) -> int:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else unknown


def _content_range(response: httpx2.Response, unknown: int) -> tuple[int, int]:
    """At which byte an answer starts, and the size of the whole file; a start of -1 where it does not say."""
    found = re.match(r"bytes (\d+)-\d+/(\d+|\*)$", response.headers.get("Content-Range", ""))
    if found is None:
        return -1, unknown
    return int(found[1]), unknown if found[2] == "*" else int(found[2])


def patiently(call: Callable[[], _Answer], url: str, patience: Patience, tries: int, hint: str) -> _Answer:
    """Call until there is no setback, with growing pauses."""
    backoff = tenacity.wait_exponential(patience.pause, patience.longest)

    def pause(state: tenacity.RetryCallState) -> float:
        setback = state.outcome.exception() if state.outcome else None
        asked = setback.pause if isinstance(setback, _Setback) else 0.0
        seconds = max(backoff(state), min(asked, patience.longest))
        log.warning("%s: %s; trying again in %.1f s", url, setback, seconds)
        return seconds

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(_Setback),
        stop=tenacity.stop_after_attempt(tries),
        wait=pause,
        reraise=True,
    )
    try:
        return retrying(call)
    except _Setback as setback:
        raise DownloadError(f"cannot fetch {url}: {setback} ({tries} tries in a row)", hint) from setback


@contextmanager
def _talking(url: str) -> Iterator[None]:
    """Errors of the HTTP client as ours: setbacks, where another try may help."""
    try:
        yield
    except (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects, httpx2.InvalidURL) as error:
        raise DownloadError(f"cannot fetch {url}: {error}", MIRROR_HINT) from error
    except httpx2.TransportError as error:
        raise _Setback(str(error) or type(error).__name__) from error


def _raise_for_status(response: httpx2.Response, url: str) -> None:
    status = response.status_code
    if status in _BUSY:
        asked = response.headers.get("Retry-After", "")
        raise _Setback(f"the server answers {status}", float(asked) if asked.isdecimal() else 0.0)
    if status in (200, 206):
        return
    meaning = {403: " (forbidden)", 404: " (not found)"}.get(status, "")
    raise DownloadError(
        f"cannot fetch {url}: the server answers {status}{meaning}",
        f"the address should lead to zips/ and annotations/ as {BASE_URL} does; {MIRROR_HINT}",
    )


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Errors of the disk as ours."""
    try:
        yield
    except MfsynthError:  # some are an OSError, too
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DownloadError(
                f"the disk is full, or your share of it: cannot write {path}",
                "make room and download again; what has arrived is kept",
            ) from error
        raise DownloadError(
            f"cannot read or write {path}: {error}", "name a folder on a sound disk that you may write to"
        ) from error
