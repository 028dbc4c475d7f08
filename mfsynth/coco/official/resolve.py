"""Where COCO is: a folder that the user names, or the per-user cache, filled when it is empty."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mfsynth import storage
from mfsynth.coco.finding.files import remove_stale_scratch
from mfsynth.coco.finding.places import has_annotations, has_split, no_pictures
from mfsynth.errors import OptionsError, SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mfsynth.coco.official.transfer import Progress
    from mfsynth.coco.split import Masks
    from mfsynth.storage import AnyPath

COCO_VARIABLE = "MFSYNTH_COCO"
DEMO = "demo"
ASK_BEYOND = 3_000_000_000
"""Size in bytes beyond which a download needs approval."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The files of a split that a download left: archives, or the demo's annotations."""

    files: tuple[Path, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON's own types."""
        return {"files": [str(path) for path in self.files]}

    def lines(self) -> list[str]:
        """In words."""
        return [f"{path}  {path.stat().st_size / 1e6:.1f} MB" for path in self.files]


def named_folder(given: Path | str | None) -> AnyPath | None:
    """The COCO folder named by the user: by the option, else by the environment variable; it may be at a URL.

    Raises:
        SourceError: If it is on a web server.
    """
    named = given if given is not None else os.environ.get(COCO_VARIABLE)
    return storage.path_at(named) if named else None


def coco_folder(
    given: Path | str | None,
    split: str,
    masks: Masks,
    *,
    cache: Path,
    approve: Callable[[int], bool],
    say: Callable[[str], None],
    progress: Progress | None = None,
) -> AnyPath:
    """The folder with a split; an official one that is not there is downloaded, the demo split is drawn.

    Args:
        given: Folder of the option `--coco`, or its URL.
        split: The split's name.
        masks: Which annotations are needed.
        cache: The per-user cache folder.
        approve: Asked before a download of more than `ASK_BEYOND` bytes.
        say: Called with a line about what takes a while.
        progress: Called with an archive's name, bytes done and bytes to do.

    Raises:
        SourceError: If the split is not where the user says, or nowhere at all, or its download is declined.
        DownloadError: If the download fails.
    """
    found = _found(given, split, masks, cache)
    if found is not None:
        return found
    if split == DEMO:
        return demo_folder(cache, say)
    return _downloaded(cache / "coco", split, masks, approve, say, progress)


def download_size(given: Path | str | None, split: str, masks: Masks, *, cache: Path) -> int:
    """Bytes that `coco_folder` would download for a split; 0 if it is there, or is drawn.

    Raises:
        SourceError: If the split is not where the user says, or nowhere at all.
        DownloadError: If the server cannot be asked.
    """
    if split == DEMO or _found(given, split, masks, cache) is not None:
        return 0
    return _missing(cache / "coco", split, masks)


def fetch(
    split: str, given: Path | None, masks: Masks, base_url: str | None, progress: Progress | None
) -> Fetched:
    """Download a split's archives, or draw the demo split, into the named folder, else the cache.

    Args:
        split: The split's name.
        given: Folder of the option `--coco`.
        masks: Which annotations are needed.
        base_url: Server or mirror; None takes $MFSYNTH_COCO_URL, else COCO's own.
        progress: Called with an archive's name, bytes done and bytes to do.

    Raises:
        OptionsError: If there is no such official split.
        SourceError: If the demo split cannot be written.
        DownloadError: If the download fails.
    """
    from mfsynth.coco.demo import draw_demo
    from mfsynth.coco.official.download import download

    folder = named_folder(given) or storage.cache_folder() / "coco"
    if not isinstance(folder, Path):
        raise OptionsError(f"cannot download to {folder}", "give a local folder with --coco DIR")
    if split == DEMO:
        with _writing(folder):
            draw_demo(folder)
        return Fetched((folder / f"annotations/panoptic_{DEMO}.json",))
    return Fetched(download(split, folder, masks=masks, base_url=base_url, progress=progress))


def demo_folder(cache: Path, say: Callable[[str], None]) -> Path:
    """The folder with the demo split, drawn the first time, whole or not at all.

    Raises:
        SourceError: If it cannot be written.
    """
    from mfsynth.coco.demo import DEMO_VERSION, draw_demo

    folder = cache / f"demo-{DEMO_VERSION}"
    with _writing(cache):
        if folder.is_dir():
            return folder
        say(f"drawing the demo split to {folder}, once")
        cache.mkdir(parents=True, exist_ok=True)
        remove_stale_scratch(cache)
        scratch = Path(tempfile.mkdtemp(prefix="tmp-demo-", dir=cache))
        try:
            draw_demo(scratch)
            scratch.replace(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn errors of the disk into ours."""
    try:
        yield
    except OSError as error:
        raise SourceError(
            f"cannot write to {folder}: {error.strerror or error}",
            "name another folder: with --coco, or for the cache with XDG_CACHE_HOME",
        ) from error


def _found(given: Path | str | None, split: str, masks: Masks, cache: Path) -> AnyPath | None:
    """The folder that already has a split: the one that the user names, else the cache."""
    named = named_folder(given)
    if named is not None and not named.is_dir():
        raise SourceError(
            f"there is no folder {named}", f"give COCO's folder with --coco DIR or {COCO_VARIABLE}"
        )
    if named is not None and (split != DEMO or has_split(named, split)):
        return _with_split(named, split)
    kept = cache / "coco"
    whole = split != DEMO and has_split(kept, split) and has_annotations(kept, f"{masks}_{split}.json")
    return kept if whole else None  # a stopped download leaves only some of the archives


def _with_split(folder: AnyPath, split: str) -> AnyPath:
    if not has_split(folder, split):
        raise no_pictures(folder, split)
    return folder


def _downloaded(
    folder: Path,
    split: str,
    masks: Masks,
    approve: Callable[[int], bool],
    say: Callable[[str], None],
    progress: Progress | None,
) -> Path:
    from mfsynth.coco.official.download import download

    missing = _missing(folder, split, masks)
    if missing > ASK_BEYOND and not approve(missing):
        raise SourceError(
            f"{split} is a download of {missing / 1e9:.1f} GB, which was not confirmed",
            f"add --yes, fetch it with `mfsynth download --split {split}`, "
            f"or name a folder that has it with --coco DIR or {COCO_VARIABLE}",
        )
    if missing:
        say(f"downloading {split} ({missing / 1e9:.1f} GB) to {folder}")
        download(split, folder, masks=masks, progress=progress)
    return folder


def _missing(folder: Path, split: str, masks: Masks) -> int:
    """Bytes of an official split's archives that a folder lacks."""
    from mfsynth.coco.official.download import OFFICIAL_SPLITS, missing_bytes

    if split not in OFFICIAL_SPLITS:
        raise SourceError(
            f"no COCO folder is named, and {split!r} is not an official split that could be downloaded",
            f"name the folder that has {split}/ with --coco DIR or {COCO_VARIABLE}; "
            f"official: {', '.join(OFFICIAL_SPLITS)}; without any data: --split {DEMO}",
        )
    return missing_bytes(split, folder, masks=masks)
