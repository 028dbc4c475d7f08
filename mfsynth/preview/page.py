"""The page of samples: a self-contained HTML file to flip between frames and magnify pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from mfsynth.codecs import encode_jpeg, encode_png
from mfsynth.preview.colors import color_map, focus_shares
from mfsynth.preview.kit.page import VIEWER, Page, Pictures, Scene, Section, Switch, View

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mfsynth.sample import Recipe, Sample
    from mfsynth.shards.manifest import Manifest

_OVERLAY = "sharp in frame 0 (blue), frame 1 (orange)"
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
        sections=(Section("pictures", "Samples", VIEWER),),
        scenes=scenes,
        pictures=pictures.uris,
        overlay=Switch("focus map", "f"),
        footer=_FOOTER,
    ).to_html()


def _scene(sample: Sample, licenses: dict[int, str], pictures: Pictures) -> Scene:
    named = [(f"frame {k}", str(k + 1), frame) for k, frame in enumerate(sample.frames)]
    focus = pictures.add("png", encode_png(color_map(sample.focus)))
    views = tuple(
        View(name, press, pictures.add("jpeg", encode_jpeg(picture)), overlay=focus)
        for name, press, picture in (*named, ("ground truth", "g", sample.gt))
    )
    facts = tuple(_facts(sample.recipe, licenses))
    size, recipe = sample.window, msgspec.Raw(sample.recipe.to_json())
    return Scene(
        sample.key, size.width, size.height, views, facts=facts, notes=("", _OVERLAY, ""), json=recipe
    )


def _facts(recipe: Recipe, licenses: dict[int, str]) -> list[tuple[str, str]]:
    """The rows of a sample's table."""
    image = recipe.image
    noise = max(frame.noise_sigma for frame in recipe.frames)
    rows = [
        ("key", recipe.key),
        ("image id", str(image.id)),
        ("file name", image.file_name),
        ("license", licenses.get(image.license) or str(image.license)),
        ("size", f"{image.width} × {image.height} px"),
        ("blur σ", f"{recipe.blur.sigma:.3f} px"),
        ("noise σ", f"{noise:.4f} of full range" if noise > 0 else "off"),
        ("tries", str(recipe.tries)),
    ]
    for index, (frame, share) in enumerate(zip(recipe.frames, focus_shares(recipe), strict=True)):
        count = sum(segment.plane == frame.plane for segment in recipe.segments)
        rows.append((f"sharp in frame {index}", f"{share:.1%}, {count} of {len(recipe.segments)} segments"))
    return rows
