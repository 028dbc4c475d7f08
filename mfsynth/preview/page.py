"""The page of samples: a self-contained HTML file to flip between frames and magnify pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mfsynth.codecs import encode_jpeg, encode_png
from mfsynth.preview.colors import color_map, css_color, focus_shares, sharp_segments
from mfsynth.preview.kit.page import VIEWER, Page, Pictures, Scene, Section, Switch, View
from mfsynth.preview.words import blur_words, edge_words, noise_words, shot_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mfsynth.sample import Recipe, Sample
    from mfsynth.shards.manifest import Manifest

_FOCUS = "colors: the frame that is sharpest"
_NEAREST = "colors: the frame nearest to the ground truth, before noise"
_CERTAIN = (
    " Where the picture called certain is white, some frame shows the ground truth; the darker, the less."
)
_KEYS = 9
"""How many frames have a key of their own."""
_FOOTER = "Pictures are shown as JPEG of quality 95, 4:4:4; the data set's own are not touched."


def write_page(samples: Iterable[Sample], manifest: Manifest) -> bytes:
    """The page as UTF-8, with every picture inside as a data URI."""
    licenses = {license.id: license.name for license in manifest.licenses}
    pictures = Pictures()
    scenes = tuple(_scene(sample, licenses, pictures) for sample in samples)
    return Page(
        kind="mfsynth preview",
        title=manifest.split,
        subtitle=f"{len(scenes)} of {manifest.samples:,} samples · {manifest.layout.store} store",
        sections=(Section("pictures", "Samples", VIEWER + (_CERTAIN if manifest.layout.targets else "")),),
        scenes=scenes,
        pictures=pictures.uris,
        overlay=Switch("focus map", "f"),
        others=(Switch("nearest", "r"),) if manifest.layout.targets else (),
        legend=tuple((f"frame {k}", css_color(k)) for k in range(manifest.layout.frames)),
        slides=manifest.layout.frames if manifest.layout.frames > 2 else 0,
        footer=_FOOTER,
    ).to_html()


def _scene(sample: Sample, licenses: dict[int, str], pictures: Pictures) -> Scene:
    maps = [pictures.add("png", encode_png(color_map(sample.focus)))]
    notes = [_FOCUS]
    if sample.recipe.optics:
        maps.append(pictures.add("png", encode_png(color_map(sample.nearest))))
        notes.append(_NEAREST)
    views = tuple(
        View(name, press, pictures.add(*encoded), overlay=maps[0], others=tuple(maps[1:]))
        for name, press, encoded in _pictures(sample)
    )
    size = sample.window
    return Scene(
        sample.key,
        size.width,
        size.height,
        views,
        facts=tuple(_facts(sample.recipe, licenses)),
        notes=("", notes[0], ""),
        other_notes=tuple(notes[1:]),
        json=msgspec.Raw(sample.recipe.to_json()),
    )


def _pictures(sample: Sample) -> Iterator[tuple[str, str, tuple[str, bytes]]]:
    """Name, key and encoded bytes of what is shown; frames come first."""
    for k, frame in enumerate(sample.frames):
        yield f"frame {k}", str(k + 1) if k < _KEYS else "", ("jpeg", encode_jpeg(frame))
    yield "ground truth", "g", ("jpeg", encode_jpeg(sample.gt))
    if sample.recipe.optics:
        yield "certain", "c", ("png", encode_png(sample.certain))


def _facts(recipe: Recipe, licenses: dict[int, str]) -> list[tuple[str, str]]:
    """The rows of a sample's table."""
    image, optics = recipe.image, recipe.optics
    rows = [
        ("key", recipe.key),
        ("image id", str(image.id)),
        ("file name", image.file_name),
        ("license", licenses.get(image.license) or str(image.license)),
        ("size", f"{image.width} × {image.height} px"),
        ("blur", blur_words(recipe, 3)),
        ("edges, light", edge_words(recipe)),
        ("noise", noise_words(recipe) or "off"),
        ("planes", f"{optics.planes}, 0 the farthest" if optics else ""),
        ("tries", str(recipe.tries)),
    ]
    return [row for row in rows if row[1]] + list(_frame_facts(recipe))


def _frame_facts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    total = len(recipe.segments)
    for k, share in enumerate(focus_shares(recipe)):
        yield f"sharp in frame {k}", f"{share:.1%}, {sharp_segments(recipe, k)} of {total} segments"
    for k, shot in enumerate(recipe.optics.frames if recipe.optics else ()):
        if taken := shot_words(shot):
            yield f"frame {k} taken", taken
