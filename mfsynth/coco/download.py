"""The official COCO archives: fetched, resumed, checked, and only then given their names.

An archive grows as `NAME.part`; `NAME.part.json` beside it remembers which file of the server it is a part
of, so that a later process goes on where this one stopped.
"""

from __future__ import annotations

import difflib
import errno
import logging
import os
import re
import shutil
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

import httpx2
import msgspec
import tenacity

from mfsynth.errors import DownloadError, MfsynthError, OptionsError
from mfsynth.locks import locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mfsynth.coco.split import Masks

OFFICIAL_SPLITS = ("train2017", "val2017")
BASE_URL = "http://images.cocodataset.org"
MIRROR_VARIABLE = "MFSYNTH_COCO_URL"
MARGIN = 256 << 20
"""Bytes that must stay free on the disk."""

_ANNOTATIONS = {
    "panoptic": "panoptic_annotations_trainval2017.zip",
    "instances": "annotations_trainval2017.zip",
}
_ZIP_START = b"PK\x03\x04"
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_MIRROR_HINT = f"a mirror with the same layout can be named by {MIRROR_VARIABLE}=https://…"
_FIRST_CONTACT_TRIES = 3
"""A wrong address should not take minutes to be called wrong."""

_Answer = TypeVar("_Answer")

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Told how much of an archive has arrived; `done_bytes` falls back when a transfer starts over."""

    def __call__(self, archive_name: str, done_bytes: int, total_bytes: int, /) -> None:
        """Called at the start of each archive, and with every piece that arrives."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An official archive: its file name, its path on the server, and what is in it."""

    name: str
    path: str
    holds: Literal["pictures", "annotations"]


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


def base_url() -> str:
    """Where the archives come from: the environment variable MFSYNTH_COCO_URL, else the official server."""
    return os.environ.get(MIRROR_VARIABLE) or BASE_URL


def archives(split: str, masks: Masks = "panoptic") -> tuple[Archive, ...]:
    """The archives of an official split, in the order in which they are fetched.

    >>> [archive.path for archive in archives("val2017")]
    ['/annotations/panoptic_annotations_trainval2017.zip', '/zips/val2017.zip']

    Raises:
        OptionsError: If there is no such split, or no such masks.
    """
    if split not in OFFICIAL_SPLITS:
        near = difflib.get_close_matches(split, OFFICIAL_SPLITS, n=1)
        guess = f"did you mean {near[0]}? " if near else ""
        raise OptionsError(
            f"no official split is called {split!r}; there are {' and '.join(OFFICIAL_SPLITS)}",
            f"{guess}your own data needs no download: give its folder where it is used",
        )
    if masks not in _ANNOTATIONS:
        raise OptionsError(f"masks are panoptic or instances, not {masks!r}")
    annotations = _ANNOTATIONS[masks]
    return (
        Archive(annotations, f"/annotations/{annotations}", "annotations"),
        Archive(f"{split}.zip", f"/zips/{split}.zip", "pictures"),
    )


def missing_bytes(
    split: str,
    root: Path,
    *,
    masks: Masks = "panoptic",
    base_url: str | None = None,
    patience: Patience = PATIENCE,
) -> int:
    """Bytes that `download` would still transfer; the server is asked, nothing is written.

    Raises:
        OptionsError: If there is no such split, or the server's address is none.
        DownloadError: If the server cannot be reached or lacks an archive.
    """
    absent = _absent(archives(split, masks), root)
    if not absent:
        return 0
    with _client(patience) as client:
        return sum(_plan(client, archive, root, base_url, patience).missing for archive in absent)


def download(
    split: str,
    root: Path,
    *,
    masks: Masks = "panoptic",
    base_url: str | None = None,
    progress: Progress | None = None,
    patience: Patience = PATIENCE,
) -> tuple[Path, ...]:
    """Fetch the archives of an official split to a folder, going on where an earlier call stopped.

    What is there under its final name is kept. Every new archive is checked member by member, and the
    pictures against the annotations' list, before it gets its final name.

    Args:
        split: One of `OFFICIAL_SPLITS`.
        root: The COCO folder; made if need be.
        masks: Which annotations to fetch.
        base_url: The server or mirror, instead of what `base_url()` says.
        progress: Told of every piece that arrives; not of archives that are there already.
        patience: When to give up.

    Returns:
        The archives' paths, in the order of `archives`.

    Raises:
        OptionsError: If there is no such split, or the server's address is none.
        OutputError: If another download works on the same folder.
        DownloadError: If an archive cannot be fetched or is not whole; what arrived is kept where that helps.
    """
    annotations, pictures = wanted = archives(split, masks)
    with locked(root, "download"):
        absent = _absent(wanted, root)
        if absent:
            with _client(patience) as client:
                plans = {a.name: _plan(client, a, root, base_url, patience, progress) for a in absent}
                _make_room([*plans.values()], root)
                found = root / annotations.name
                _bring(
                    plans.get(annotations.name), found, lambda path: _check_annotations(path, split, masks)
                )
                _bring(
                    plans.get(pictures.name),
                    root / pictures.name,
                    lambda path: _check_pictures(path, found, split, masks),
                )
    return tuple(root / archive.name for archive in wanted)


def _absent(wanted: tuple[Archive, ...], root: Path) -> list[Archive]:
    absent = []
    for archive in wanted:
        path = root / archive.name
        if not path.is_file():
            absent.append(archive)
        elif not zipfile.is_zipfile(path):
            raise DownloadError(
                f"{path} is there, but is no zip or is cut short",
                "delete it or move it away, then download again",
            )
    return absent


def _client(patience: Patience) -> httpx2.Client:
    # identity: a compressed answer has no ranges
    headers = {"Accept-Encoding": "identity", "User-Agent": "mfsynth"}
    return httpx2.Client(follow_redirects=True, timeout=patience.timeout, headers=headers)


def _plan(
    client: httpx2.Client,
    archive: Archive,
    root: Path,
    base: str | None,
    patience: Patience,
    progress: Progress | None = None,
) -> _Transfer:
    """The transfer of an archive, after asking the server which file it has."""
    base = base or base_url()
    if not re.match(r"https?://[^/]", base):
        raise OptionsError(
            f"{base!r} is no address of a server",
            f"give one that begins with http:// or https:// ({MIRROR_VARIABLE} is where it may come from)",
        )
    url = base.rstrip("/") + archive.path
    part = _Part(root / archive.name)
    tries = min(patience.tries, _FIRST_CONTACT_TRIES)
    remote = _patiently(lambda: _ask(client, url), url, patience, tries, part.hint)
    return _Transfer(client, url, part, remote, patience, progress)


def _make_room(plans: list[_Transfer], root: Path) -> None:
    """Make the folder, drop what is of no use any more, and see whether the disk has room for the rest."""
    with _disk(root):
        root.mkdir(parents=True, exist_ok=True)
        for plan in plans:
            if not plan.done and plan.part.path.exists():
                log.warning("%s is no part of what %s has now: starting over", plan.part.path, plan.url)
                plan.part.discard()
    missing = sum(plan.missing for plan in plans)
    free = shutil.disk_usage(root).free
    if missing and free < missing + MARGIN:
        raise DownloadError(
            f"{root} has {free / 1e9:.2f} GB free, but {missing / 1e9:.2f} GB are still to come and"
            f" {MARGIN / 1e9:.2f} GB should stay free",
            "make room, or name a folder on a larger disk",
        )


def _bring(transfer: _Transfer | None, path: Path, check: Callable[[Path], None]) -> None:
    """Fetch, check and publish an archive; without a transfer it is there, and its content is checked."""
    if transfer is None:
        with _disk(path):
            check(path)
        return
    transfer.run()
    part = transfer.part
    log.info("checking %s", part.path)
    with _disk(part.path):
        _check_members(part, transfer.url)
        check(part.path)
        part.publish()


# --- the transfer -------------------------------------------------------------------------------------


class _Remote(msgspec.Struct, frozen=True):
    """Which file the server has: its size, and its ETag and Last-Modified where they are told."""

    size: int
    etag: str = ""
    modified: str = ""

    @property
    def validator(self) -> str:
        """What If-Range takes: a strong ETag, else a date."""
        return self.modified if self.etag.startswith("W/") else self.etag or self.modified

    def same(self, other: _Remote) -> bool:
        """Whether both are one file, as far as can be told."""
        if self.size != other.size:
            return False
        if self.etag and other.etag:
            return self.etag.removeprefix("W/") == other.etag.removeprefix("W/")
        return not (self.modified and other.modified) or self.modified == other.modified


class _Part:
    """What has arrived of an archive, and beside it the note of which file it is a part of."""

    def __init__(self, final: Path) -> None:
        self.final = final
        self.path = final.with_name(f"{final.name}.part")
        self.note = final.with_name(f"{final.name}.part.json")

    @property
    def hint(self) -> str:
        """What to do after a failure of the network."""
        kept = f"what arrived is kept in {self.path}, " if self.path.is_file() else ""
        return f"{kept}download again to go on; check the network and the address; {_MIRROR_HINT}"

    def holds(self, remote: _Remote) -> int:
        """How many bytes of the server's file are here; 0 if what is here is of another file."""
        try:
            known = msgspec.json.decode(self.note.read_bytes(), type=_Remote)
            size = self.path.stat().st_size
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return 0
        return size if known.same(remote) and size <= remote.size else 0

    def begin(self, remote: _Remote) -> None:
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


class _Transfer:
    """One archive on its way from `url` to `part`."""

    def __init__(
        self,
        client: httpx2.Client,
        url: str,
        part: _Part,
        remote: _Remote,
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
        with _disk(self.part.path):
            if not self.done:
                self.part.begin(self.remote)
            self._tell()
            while self.missing > 0:
                _patiently(self._advance, self.url, self.patience, self.patience.tries, self.part.hint)
            size = self.part.path.stat().st_size
        if size != self.remote.size:
            self.part.discard()
            raise DownloadError(
                f"{self.url} has {self.remote.size} bytes, but {size} arrived",
                f"what arrived was removed: download again; {_MIRROR_HINT}",
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

    def _start_over(self, remote: _Remote) -> None:
        self.restarts += 1
        if self.restarts > self.patience.tries:
            raise DownloadError(
                f"{self.url}: had to start over {self.patience.tries} times: the server does not continue a"
                " transfer that broke off, or its file keeps changing",
                f"try again on a steadier connection; {_MIRROR_HINT}",
            )
        log.warning("%s: starting over at byte 0 instead of %d", self.url, self.done)
        self.part.begin(remote)
        self.remote, self.done = remote, 0
        self._tell()

    def _check_start(self, chunk: bytes, response: httpx2.Response) -> None:
        if self.done or _ZIP_START.startswith(chunk[: len(_ZIP_START)]):
            return
        self.part.discard()
        kind = response.headers.get("Content-Type", "something else")
        raise DownloadError(
            f"{self.url} is {kind} instead of a zip; it begins {chunk[:40]!r}",
            f"open the address in a browser: a login page may be in between; {_MIRROR_HINT}",
        )

    def _tell(self) -> None:
        if self.progress is not None:
            self.progress(self.part.final.name, self.done, self.remote.size)


def _ask(client: httpx2.Client, url: str) -> _Remote:
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
        raise DownloadError(f"{url} is empty, or the server does not tell its size", _MIRROR_HINT)
    return remote


def _remote(response: httpx2.Response, size: int) -> _Remote:
    headers = response.headers
    return _Remote(size, headers.get("ETag", ""), headers.get("Last-Modified", ""))


def _length(response: httpx2.Response, unknown: int = 0) -> int:
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else unknown


def _content_range(response: httpx2.Response, unknown: int) -> tuple[int, int]:
    """At which byte an answer starts, and the size of the whole file; a start of -1 where it does not say."""
    found = re.match(r"bytes (\d+)-\d+/(\d+|\*)$", response.headers.get("Content-Range", ""))
    if found is None:
        return -1, unknown
    return int(found[1]), unknown if found[2] == "*" else int(found[2])


def _patiently(call: Callable[[], _Answer], url: str, patience: Patience, tries: int, hint: str) -> _Answer:
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
        raise DownloadError(f"cannot fetch {url}: {error}", _MIRROR_HINT) from error
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
        f"the address should lead to zips/ and annotations/ as {BASE_URL} does; {_MIRROR_HINT}",
    )


@contextmanager
def _disk(path: Path) -> Iterator[None]:
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


# --- the checks ---------------------------------------------------------------------------------------


class _Image(msgspec.Struct, gc=False):
    file_name: str


class _Listing(msgspec.Struct):
    """Of an annotation file only what is needed here; the rest, some 400 MB, is skipped."""

    images: list[_Image]


def _check_members(part: _Part, url: str) -> None:
    """Read every member and compare its checksum; what is damaged is removed, for no resuming mends it."""
    try:
        with zipfile.ZipFile(part.path) as archive:
            broken = next((info for info in archive.infolist() if not _is_whole(archive, info)), None)
    except (zipfile.BadZipFile, EOFError) as error:
        reason = f"it is not a whole zip: {error}"
    else:
        if broken is None:
            return
        reason = f"its member {broken.filename} has a wrong checksum or cannot be unpacked"
    part.discard()
    raise DownloadError(
        f"what {url} sent is damaged: {reason}",
        f"it was removed: download again; if that does not help, use another server: {_MIRROR_HINT}",
    )


def _is_whole(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bool:
    """Whether a member's CRC is right; unlike `testzip`, broken deflate data is told by its name, too."""
    try:
        with archive.open(info) as member:
            while member.read(1 << 20):
                pass
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError):  # the last: encrypted, unknown method
        return False
    return True


def _check_annotations(path: Path, split: str, masks: Masks) -> None:
    needed = [f"annotations/{masks}_{split}.json"]
    if masks == "panoptic":
        needed.append(f"annotations/panoptic_{split}.zip")
    with _opened(path) as archive:
        lacking = sorted({*needed} - {*archive.namelist()})
    if lacking:
        raise DownloadError(f"{path} lacks {' and '.join(lacking)}", _other_file_hint(path))


def _check_pictures(path: Path, annotations: Path, split: str, masks: Masks) -> None:
    """Compare the pictures' names with the annotations' list."""
    with _opened(path) as archive:
        there = {
            name for name in archive.namelist() if name.startswith(f"{split}/") and name.endswith(".jpg")
        }
    listed = {f"{split}/{name}" for name in _listed(annotations, f"annotations/{masks}_{split}.json")}
    if there == listed:
        return
    few = "; ".join(
        f"{what}: {', '.join(sorted(names)[:3])}{', …' if len(names) > 3 else ''}"
        for what, names in (("missing", listed - there), ("not listed", there - listed))
        if names
    )
    raise DownloadError(
        f"{path} holds {len(there)} pictures of {split}, {annotations.name} lists {len(listed)}; {few}",
        _other_file_hint(path),
    )


def _listed(annotations: Path, member: str) -> list[str]:
    """The pictures' file names in an annotation file."""
    with _opened(annotations) as archive:
        try:
            listing = msgspec.json.decode(archive.read(member), type=_Listing)
        except (msgspec.DecodeError, UnicodeDecodeError, zlib.error, EOFError) as error:
            raise DownloadError(
                f"{member} in {annotations} cannot be read: {error}", _other_file_hint(annotations)
            ) from error
    return [image.file_name for image in listing.images]


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except zipfile.BadZipFile as error:
        raise DownloadError(f"{path} is damaged: {error}", "delete it and download again") from error


def _other_file_hint(path: Path) -> str:
    return f"this is not the official archive: delete {path} and download again; {_MIRROR_HINT}"
