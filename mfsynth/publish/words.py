"""Title, tags and other words by which a data set is found on the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mfsynth.coco.official.download import OFFICIAL_SPLITS
from mfsynth.coco.official.resolve import DEMO

if TYPE_CHECKING:
    from mfsynth.shards.manifest import Manifest

_SIZES = {
    "n<1K": 10**3,
    "1K<n<10K": 10**4,
    "10K<n<100K": 10**5,
    "100K<n<1M": 10**6,
    "1M<n<10M": 10**7,
    "10M<n<100M": 10**8,
}
_LARGEST = "100M<n<1B"


def provenance(manifest: Manifest) -> Literal["coco", "drawn", "own"]:
    """Where the pictures come from: COCO, this package's drawn scenes, or the user's own data."""
    if manifest.split in OFFICIAL_SPLITS:
        return "coco"
    return "drawn" if manifest.split == DEMO else "own"


def is_coco(manifest: Manifest) -> bool:
    """Whether pictures and annotations are those of COCO."""
    return provenance(manifest) == "coco"


def title(manifest: Manifest) -> str:
    """The data set's title."""
    what = {"coco": f"COCO {manifest.split}", "drawn": "drawn scenes", "own": manifest.split}
    kind = (
        "Multi-focus pairs"
        if manifest.layout.frames == 2
        else f"Focus stacks of {manifest.layout.frames} frames"
    )
    return f"{kind}{' of' if manifest.layout.frames == 2 else ','} {what[provenance(manifest)]}"


def tags(manifest: Manifest) -> list[str]:
    """The card's tags."""
    fixed = ["multi-focus-image-fusion", "image-fusion", "focus-stacking", "webdataset", "mfsynth"]
    return fixed + (["coco"] if is_coco(manifest) else [])


def hub_split(split: str) -> str:
    """The name under which the Hub's viewer and `datasets` show the split.

    >>> hub_split("val2017"), hub_split("demo")
    ('validation', 'train')
    """
    known = {"val": "validation", "test": "test"}
    return next((name for start, name in known.items() if split.startswith(start)), "train")


def size_category(samples: int) -> str:
    """The Hub's size category of a number of samples.

    >>> size_category(999), size_category(118_287)
    ('n<1K', '100K<n<1M')
    """
    return next((name for name, end in _SIZES.items() if samples < end), _LARGEST)


def readable(size: int) -> str:
    """A size in bytes, in MB or GB.

    >>> readable(2_638_848), readable(19_300_000_000)
    ('2.6 MB', '19.3 GB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.1f} MB"


def plain(text: str) -> str:
    """Foreign text, on one line and without Markdown's special characters.

    >>> plain("CC0 | <b>")
    'CC0 / (b)'
    """
    for mark, instead in zip("|<>[]`", "/()()'", strict=True):
        text = text.replace(mark, instead)
    return " ".join(text.split())
