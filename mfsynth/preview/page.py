"""The page: one HTML file that needs nothing else, to flip between frames and zoom into pixels.

What comes from the data set reaches the page as JSON alone, and its script shows it as text alone.
"""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mfsynth.codecs import encode_jpeg, encode_png
from mfsynth.preview.colors import colour_map, focus_shares, hex_colour

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mfsynth.sample import Recipe, Sample
    from mfsynth.shards.manifest import Manifest

_TEMPLATE = "page.html"
_DATA = "@DATA@"


def write_page(samples: Iterable[Sample], manifest: Manifest) -> bytes:
    """The page as UTF-8, with every picture inside as a data URI."""
    licenses = {license.id: license.name for license in manifest.licenses}
    data = {
        "split": manifest.split,
        "store": manifest.layout.store,
        "total": manifest.samples,
        "samples": [_entry(sample, licenses) for sample in samples],
    }
    template = files(__package__).joinpath(_TEMPLATE).read_text("utf-8")
    return template.replace(_DATA, _script_json(data)).encode()


def _entry(sample: Sample, licenses: dict[int, str]) -> dict[str, Any]:
    """A sample as the page's script reads it."""
    frames = [
        {"name": f"frame {k}", "press": str(k + 1), "source": _jpeg_uri(frame), "colour": hex_colour(k)}
        for k, frame in enumerate(sample.frames)
    ]
    truth = {"name": "ground truth", "press": "g", "source": _jpeg_uri(sample.gt), "colour": ""}
    return {
        "key": sample.key,
        "width": sample.window.width,
        "height": sample.window.height,
        "views": [*frames, truth],
        "focus": _uri("image/png", encode_png(colour_map(sample.focus))),
        "shares": focus_shares(sample.recipe),
        "facts": _facts(sample.recipe, licenses),
        "recipe": _builtins(sample.recipe),
    }


def _facts(recipe: Recipe, licenses: dict[int, str]) -> list[tuple[str, str]]:
    """The rows of the table beside a sample."""
    image = recipe.image
    noise = max(frame.noise_sigma for frame in recipe.frames)
    rows = [
        ("key", recipe.key),
        ("image id", str(image.id)),
        ("file name", image.file_name),
        ("licence", licenses.get(image.license) or str(image.license)),
        ("size", f"{image.width} × {image.height} px"),
        ("blur σ", f"{recipe.blur.sigma:.3f} px"),
        ("noise σ", f"{noise:.4f} of full range" if noise > 0 else "off"),
        ("tries", str(recipe.tries)),
    ]
    for index, (frame, share) in enumerate(zip(recipe.frames, focus_shares(recipe), strict=True)):
        count = sum(segment.plane == frame.plane for segment in recipe.segments)
        rows.append((f"sharp in frame {index}", f"{share:.1%}, {count} of {len(recipe.segments)} segments"))
    return rows


def _builtins(recipe: Recipe) -> Any:
    """A recipe as the JSON in its shard says it."""
    return json.loads(recipe.to_json())


def _script_json(data: Any) -> str:
    r"""JSON that cannot end the script element it stands in.

    >>> _script_json("</script>")
    '"\\u003c/script>"'
    """
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _jpeg_uri(picture: Any) -> str:
    return _uri("image/jpeg", encode_jpeg(picture))


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
