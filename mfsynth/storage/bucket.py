"""A folder in an object store, through fsspec: files are made here, sent whole, and compared after that."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from mfsynth.errors import MfsynthError, OutputError
from mfsynth.locations import join, scrubbed, shown
from mfsynth.storage.arrival import is_proved
from mfsynth.storage.claim import claim
from mfsynth.storage.disk import scratch_in, sweep
from mfsynth.storage.local import digest
from mfsynth.storage.patience import PATIENCE, Patience, Setback, patiently
from mfsynth.storage.reading import open_file
from mfsynth.storage.sources import access_hint, file_system, passing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from mfsynth.storage.folder import Hold

    Answer = TypeVar("Answer")

_AGAIN = "run the same command again when that is solved; finished shards are kept"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, repr=False)
class Bucket:
    """A folder at a URL; see `Folder`. An object store has an object whole or not at all."""

    url: str
    patience: Patience = PATIENCE

    def __str__(self) -> str:
        return shown(self.url)

    __repr__ = __str__

    @property
    def location(self) -> str:
        """As for `Folder`."""
        return self.url

    @property
    def shown(self) -> str:
        """As for `Folder`."""
        return str(self)

    @property
    def durable(self) -> bool:
        """As for `Folder`."""
        return True

    @property
    def apart(self) -> bool:
        """As for `Folder`."""
        return True

    @property
    def room(self) -> str:
        """As for `Folder`."""
        return f"free some space in {self._scratch.parent}, or set TMPDIR to another folder,"

    def obstacle(self, name: str = "") -> str:
        """An object store has no folders that anything could be in place of."""
        return ""

    def exists(self) -> bool:
        """As for `Folder`."""
        return True

    def prepare(self) -> None:
        """An object store needs no folders."""

    def listing(self) -> dict[str, int]:
        """As for `Folder`."""

        def find(system: Any, root: str) -> dict[str, int]:
            system.invalidate_cache()  # others write there, too
            try:
                found = system.find(root, detail=True)
            except FileNotFoundError:  # on the Hub: no such folder
                return {}
            finally:
                system.invalidate_cache()
            front = f"{root.strip('/')}/"
            sizes = {
                name.lstrip("/").removeprefix(front): details["size"]
                for name, details in found.items()
                if name.lstrip("/").startswith(front)
            }
            # S3's console stands for a folder by an empty object, whose name ends with a slash
            return {name: size for name, size in sizes.items() if name and not name.endswith("/")}

        return self._do(find, "list", "")

    def has(self, name: str) -> bool:
        """As for `Folder`."""

        def look(system: Any, path: str) -> bool:
            system.invalidate_cache()
            try:
                return bool(system.info(path)["type"] == "file")
            except FileNotFoundError:
                return False

        return self._do(look, "look for", name, self.patience.brief)  # a build's first request

    def read(self, name: str) -> bytes | None:
        """As for `Folder`."""

        def get(system: Any, path: str) -> bytes | None:
            try:
                return bytes(system.cat_file(path))
            except FileNotFoundError:
                return None

        return self._do(get, "read", name)

    def write(self, name: str, data: bytes, label: str = "") -> None:
        """As for `Folder`."""
        with self.scratch(label) as file:
            file.write(data)
            self.publish(file, name)

    def create(self, name: str, data: bytes) -> bool:
        """As for `Folder`: under a condition where there is one, then by looking at what is there."""

        def put(system: Any, path: str) -> None:
            with suppress(FileExistsError):  # perhaps by this request, whose answer was lost
                system.pipe_file(path, data, mode="create")
            system.invalidate_cache()

        try:
            self._do(put, "write", name)
        except OutputError as error:
            cause = error.__cause__
            if not isinstance(cause, FileNotFoundError):
                raise
            text = scrubbed(" ".join(str(cause).split()), self.url)  # of the first file of a build
            hint = "create the bucket, or correct the URL"
            raise OutputError(f"cannot write to {self}: {text}", hint) from cause
        return self.read(name) == data

    def replace(self, name: str, data: bytes) -> None:
        """Write a few bytes, without comparing what arrived."""
        self._do(lambda system, path: system.pipe_file(path, data), "write", name)

    def scratch(self, label: str = "") -> AbstractContextManager[IO[bytes]]:
        """As for `Folder`; in TMPDIR."""
        return scratch_in(self._scratch, label)

    def publish(self, file: IO[bytes], name: str) -> None:
        """As for `Folder`: sent again, several times, if it arrived otherwise."""
        file.flush()
        path = Path(file.name)

        def put(system: Any, target: str) -> None:
            system.put_file(str(path), target)
            system.invalidate_cache()
            self._check(path, name, system.info(target))

        self._do(put, "write", name)

    def _check(self, path: Path, name: str, details: dict[str, Any]) -> None:
        """Compare an object with the file that was sent: its size, then its checksum, else all its bytes."""
        size = path.stat().st_size
        if details["size"] != size:
            raise Setback(f"it arrived with {details['size']:,} of {size:,} bytes")
        if not is_proved(details, path) and self._sha256(name) != digest(path):
            raise Setback("it arrived with other bytes")

    def _sha256(self, name: str) -> str:
        state = hashlib.sha256()
        with open_file(join(self.url, name), self.patience) as file:
            while piece := file.read(_PIECE):
                state.update(piece)
        return state.hexdigest()

    def move(self, old: str, new: str) -> None:
        """As for `Folder`: copied inside the object store."""
        self._do(lambda system, path: system.cp_file(path, self._at(new)), "copy", old)
        self.remove(old)

    def sync(self, name: str) -> None:
        """What has arrived is kept."""

    def remove(self, name: str) -> None:
        """As for `Folder`."""

        def delete(system: Any, path: str) -> None:
            with suppress(FileNotFoundError):
                system.rm_file(path)
            system.invalidate_cache()

        self._do(delete, "remove", name)

    def sweep(self, labels: Iterable[str] = ("",)) -> None:
        """As for `Folder`."""
        sweep(self._scratch, labels)
        self.close(parts=False)

    def close(self, *, parts: bool) -> None:
        """As for `Folder`."""
        with suppress(OSError):  # it is in use, or not there
            self._scratch.rmdir()

    def hold(self, name: str, say: Callable[[str], None]) -> Hold | None:
        """As for `Folder`; see `mfsynth.storage.claim`."""
        return claim(self, name, say)

    @property
    def _scratch(self) -> Path:
        key = hashlib.sha256(self.url.encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir(), f"mfsynth-{os.getuid()}-{key}")

    def _at(self, name: str) -> str:
        _, root = file_system(self.url)
        return f"{root.rstrip('/')}/{name}" if name else root

    def _do(
        self, call: Callable[[Any, str], Answer], verb: str, name: str, patience: Patience | None = None
    ) -> Answer:
        """Call with the file system and a path in it; several times where that may help."""
        what = f"{name} in {self}" if name else str(self)

        def once() -> Answer:
            with passing(self.url):
                return call(system, path)

        with self._naming(f"cannot {verb} {what}"):
            system, path = file_system(self.url)[0], self._at(name)
            return patiently(once, what, patience or self.patience)

    @contextmanager
    def _naming(self, what: str) -> Iterator[None]:
        """Turn the errors of a file system, of whatever class, into ours."""
        try:
            yield
        except MfsynthError:
            raise
        except Setback as setback:
            raise OutputError(
                f"{what}: {setback} ({setback.tried})", f"check the network; {_AGAIN}"
            ) from setback
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            hint = access_hint(error)
            again = f"{hint}; {_AGAIN}" if hint else _AGAIN
            raise OutputError(f"{what}: {scrubbed(text, self.url)}", again) from error
