"""One file from a server to disk: a stopped transfer is resumed, a broken connection is tried again.

No library does this safely: those that resume may append to a changed file, or give up after a reset.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

import httpx2

from mfsynth import storage
from mfsynth.errors import DownloadError
from mfsynth.storage.patience import Patience, Setback, patiently
from mfsynth.storage.web import Refused, Remote, answer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MIRROR_HINT = "to use a mirror with the same layout, set MFSYNTH_COCO_URL=https://…"
_Answer = TypeVar("_Answer")

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Shows how much of an archive has arrived; `done_bytes` falls when a transfer starts over."""

    def __call__(self, archive_name: str, done_bytes: int, total_bytes: int, /) -> None:
        """Called at the start of each archive, and with every piece that arrives."""


@dataclass(frozen=True, slots=True)
class PartialFile:
    """What has arrived of `final`; its name identifies the server's file that it is a part of."""

    final: Path
    remote: Remote

    @property
    def path(self) -> Path:
        """Where it is, `NAME.HASH.part`."""
        which = hashlib.sha256(f"{self.remote.size} {self.remote.version}".encode()).hexdigest()[:8]
        return self.final.with_name(f"{self.final.name}.{which}.part")

    @property
    def size(self) -> int:
        """Number of bytes that have arrived."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def discard(self) -> None:
        """Remove everything that has arrived of `final`, from any version on the server."""
        for path in self.final.parent.glob(f"{self.final.name}.*part*"):
            path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Give the file its final name, once its bytes have reached the disk."""
        storage.sync(self.path)
        self.path.replace(self.final)
        self.discard()


class Transfer:
    """A file being fetched from `url` to `final`; the server is asked at once which file it has.

    Raises:
        DownloadError: If the server cannot be reached or lacks the file.
    """

    def __init__(
        self, client: httpx2.Client, url: str, final: Path, patience: Patience, progress: Progress | None
    ) -> None:
        self.client, self.url, self.patience, self.progress = client, url, patience, progress
        self.shown = storage.shown(url)
        self.part = PartialFile(final, self._patiently(self._ask, patience.brief))
        self.done = self.farthest = self.part.size

    @property
    def missing(self) -> int:
        """Bytes still to come."""
        return self.part.remote.size - self.done

    def run(self) -> None:
        """Fetch what is missing, in as many requests as it takes, as long as they make progress.

        Raises:
            DownloadError: If the server or the disk fails; what arrived is kept.
        """
        with disk_errors(self.part.path):
            self._tell()
            while self.missing > 0:
                self._patiently(self._advance, self.patience)

    def _ask(self) -> Remote:
        """Which file the server has; by GET, without reading it, where HEAD is refused or gives no size."""
        for method, good in (("HEAD", (200, 405, 501)), ("GET", (200,))):
            with self._request(method, good) as response:
                remote = Remote.of(response)
                if response.is_success and remote.size:
                    return remote
        raise DownloadError(f"{self.shown} is empty, or the server does not give its size", MIRROR_HINT)

    def _advance(self) -> None:
        """Make one request and keep what it brings; a setback unless it gets further than any before."""
        headers = {"Range": f"bytes={self.done}-", "If-Range": self.part.remote.version} if self.done else {}
        setback = Setback("the server sent nothing new")
        try:
            with self._request("GET", (200, 206, 416), {k: v for k, v in headers.items() if v}) as response:
                self._agree(response)
                with self.part.path.open("ab") as file:
                    for chunk in response.iter_raw():
                        file.write(chunk)
                        self.done += len(chunk)
                        self._tell()
        except Setback as broken:
            setback = broken
        if self.missing > 0:
            if self.done <= self.farthest:
                raise Setback(f"no further than byte {self.farthest}: {setback}", setback.pause)
            log.warning("%s was interrupted after %d bytes: %s", self.shown, self.done, setback)
        self.farthest = max(self.farthest, self.done)

    def _agree(self, response: httpx2.Response) -> None:
        """Start over unless what follows continues what is here; some caches ignore If-Range."""
        remote = Remote.of(response, self.part.remote.size)
        whole = response.status_code == httpx2.codes.OK
        at = "bytes 0-" if whole else response.headers.get("Content-Range", "")
        if at.startswith(f"bytes {self.done}-") and remote.same(self.part.remote):
            return
        log.warning("%s: starting over at byte 0 instead of %d", self.shown, self.done)
        self.part.discard()
        self.done = 0
        if not whole:
            raise Setback("the server does not continue the file that it started to send")
        self.part = PartialFile(self.part.final, remote)
        self._tell()

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.part.final.name, self.done, self.part.remote.size)

    @contextmanager
    def _request(
        self, method: str, good: tuple[int, ...], headers: dict[str, str] | None = None
    ) -> Iterator[httpx2.Response]:
        """A response with a good status; a setback where another try may help."""
        try:
            with answer(self.client, method, self.url, good, headers or {}) as response:
                if response.headers.get("Content-Type", "").startswith("text/html") and response.is_success:
                    raise DownloadError(
                        f"{self.shown} is text/html instead of a zip",
                        f"open the address in a browser: a login page may be in the way; {MIRROR_HINT}",
                    )
                yield response
        except Refused as error:
            layout = "check that the address leads to zips/ and annotations/; " if error.status else ""
            raise DownloadError(f"cannot fetch {self.shown}: {error}", layout + MIRROR_HINT) from error

    def _patiently(self, call: Callable[[], _Answer], patience: Patience) -> _Answer:
        """Call until it succeeds, with growing pauses."""
        try:
            return patiently(call, self.shown, patience)
        except Setback as setback:
            raise DownloadError(
                f"cannot fetch {self.shown}: {setback} ({setback.tried})",
                f"check the network, then download again: what arrived is kept; {MIRROR_HINT}",
            ) from setback


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the disk, such as a full one, into a `DownloadError`."""
    try:
        yield
    except OSError as error:
        raise DownloadError(
            f"cannot read or write {path}: {error.strerror or error}",
            "free some space, or choose a writable folder, and download again; what arrived is kept",
        ) from error
