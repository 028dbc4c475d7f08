"""What a manifest says besides names and hashes: whether it agrees with itself, and with the shards' recipes.

Names and URLs of licenses, hashes of the source files and versions of packages are nowhere else: only their
form can be checked.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mfsynth.coco import exclusions, notes
from mfsynth.console import count, some
from mfsynth.options import BuildOptions
from mfsynth.shards.layout import shard_name
from mfsynth.shards.manifest import SHA256, fingerprint

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mfsynth.sample import Recipe
    from mfsynth.shards.manifest import Manifest

_VERSION = re.compile(r"[\w.+!-]{1,60}", re.ASCII)
_PACKAGES = {"mfsynth", "opencv", "numpy"}
_NO_HASH = ("missing", "unreadable")


@dataclass(frozen=True, slots=True)
class Held:
    """What recipes say: samples by license, samples and highest variant by image, names of pictures."""

    licenses: Counter[int] = field(default_factory=Counter)
    images: Counter[int] = field(default_factory=Counter)
    highest: dict[int, int] = field(default_factory=dict)
    files: set[str] = field(default_factory=set)

    def add(self, recipe: Recipe) -> None:
        """Count one more recipe."""
        image = recipe.image
        self.licenses[image.license] += 1
        self.images[image.id] += 1
        self.highest[image.id] = max(recipe.variant, self.highest.get(image.id, 0))
        self.files.add(image.file_name)

    @staticmethod
    def together(parts: Iterable[Held]) -> Held:
        """What several shards hold; all samples of an image are in one."""
        whole = Held()
        for part in parts:
            whole.licenses.update(part.licenses)
            whole.images.update(part.images)
            whole.highest.update(part.highest)
            whole.files.update(part.files)
        return whole


def contradictions(manifest: Manifest) -> list[str]:
    """What in a manifest contradicts itself or the format, in words that follow its name.

    Raises:
        ShardError: If its options are malformed.
    """
    options = BuildOptions.of(manifest)
    return [
        *_options(manifest, options),
        *_inputs(manifest, options),
        *_licenses(manifest),
        *_left_out(manifest),
        *_noted(manifest),
    ]


def disagreements(manifest: Manifest, held: Held) -> list[str]:
    """Where a manifest says something else than the recipes in its shards, in words that follow its name."""
    options = BuildOptions.of(manifest)
    left_out = {id for ids in manifest.left_out.values() for id in ids}
    return [
        *_wrong_counts(manifest, held),
        *_wrong_images(options, held, left_out),
        *_wrong_notes(manifest, held),
        *_wrong_files(manifest, options, held, left_out),
    ]


# --- the manifest alone -------------------------------------------------------------------------------


def _options(manifest: Manifest, options: BuildOptions) -> Iterator[str]:
    if fingerprint(manifest.options) != manifest.options_fingerprint:
        yield "has options that do not match its options_fingerprint"
    layout = manifest.layout
    frame = "jpg" if options.format == "jpeg" else "png"
    wanted = options.split, options.store, frame, options.frames, options.draw.optical
    if wanted != (manifest.split, layout.store, layout.frame, layout.frames, layout.targets):
        yield "has options that do not match its split and layout"
    if options.shards < len(manifest.shards):
        yield f"lists {count(len(manifest.shards), 'shard')}, its options give {options.shards:,}"
    names = [shard_name(manifest.split, number) for number in range(len(manifest.shards))]
    if [shard.name for shard in manifest.shards] != names:
        yield "does not number its shards from 0 on"
    if not manifest.packages.keys() >= _PACKAGES:
        yield f"lacks the version of {', '.join(sorted(_PACKAGES - manifest.packages.keys()))}"
    for name, version in manifest.packages.items():
        if not (_VERSION.fullmatch(name) and _VERSION.fullmatch(version)):
            yield f"gives {version[:60]!r} as the version of {name[:60]!r}"


def _inputs(manifest: Manifest, options: BuildOptions) -> Iterator[str]:
    inputs, by_depth = manifest.inputs, options.depth != "none"
    panoptic = options.masks == "panoptic" and not by_depth
    parts = {
        "annotations_sha256": inputs.annotations_sha256,
        "pictures": inputs.pictures,
        "masks": inputs.masks,
    }
    parts |= {"depth_maps": inputs.depth_maps} if inputs.depth_maps else {}
    for name, value in parts.items():
        if not (SHA256.fullmatch(value) or (name == "masks" and not value)):
            yield f"has inputs whose {name} is not a SHA-256"
    if fingerprint(parts) != inputs.fingerprint:
        yield "has inputs that do not match their fingerprint"
    places = [f"annotations/{options.masks}_{manifest.split}.json", *([f"{manifest.split}/"] * by_depth)]
    kinds = (bool(inputs.masks), bool(inputs.depth_maps))
    if kinds != (panoptic, by_depth) or inputs.annotations not in places:
        made_of = "depth maps" if by_depth else f"{options.masks} masks"
        yield f"has inputs that are not those of {made_of} of {manifest.split}"


def _licenses(manifest: Manifest) -> Iterator[str]:
    ids = [license.id for license in manifest.licenses]
    if ids != sorted(set(ids)):
        yield "does not list licenses by ascending id"
    if any(license.samples < 1 for license in manifest.licenses):
        yield "lists a license without samples"


def _left_out(manifest: Manifest) -> Iterator[str]:
    all_ids = [id for ids in manifest.left_out.values() for id in ids]
    if len(set(all_ids)) < len(all_ids):
        yield "leaves out an image for two reasons"
    for reason, ids in manifest.left_out.items():
        if reason not in exclusions.MEANING:
            yield f"leaves out images for an unknown reason, {reason[:60]!r}"
        if not ids or ids[0] < 0 or list(ids) != sorted(set(ids)):
            yield f"does not list the images left out ({reason[:60]}) by ascending id"
    for reason, number in manifest.skipped.items():
        if reason not in exclusions.MEANING or number < 1:
            yield f"says that {number:,} records were skipped for the reason {reason[:60]!r}"
    places = tuple(f"{front}{manifest.split}/" for front in ("", "panoptic_", "depth_"))
    files = manifest.left_out_files
    if len(files) > 2 * len(all_ids):
        yield "gives the files of more images than it leaves out"
    if not all(name.startswith(places) for name in files):
        yield "gives files of images left out that are not in the split's folders"
    if not all(SHA256.fullmatch(value) or value in _NO_HASH for value in files.values()):
        yield "gives files of images left out without their SHA-256"


def _noted(manifest: Manifest) -> Iterator[str]:
    for code, ids in manifest.noted.items():
        if code not in notes.MEANING:
            yield f"has an unknown note on images, {code[:60]!r}"
        if not ids or list(ids) != sorted(set(ids)):
            yield f"does not list the images noted ({code[:60]!r}) by ascending id"


# --- the manifest and the shards ----------------------------------------------------------------------


def _wrong_counts(manifest: Manifest, held: Held) -> Iterator[str]:
    said = {license.id: license.samples for license in manifest.licenses}
    if said != held.licenses:
        ids = [id for id in {**said, **held.licenses} if said.get(id, 0) != held.licenses[id]]
        numbers = [f"{held.licenses[id]:,} under {id}, not {said.get(id, 0):,}" for id in sorted(ids)]
        yield f"has other licenses than the recipes: {some(numbers)}"


def _wrong_images(options: BuildOptions, held: Held, left_out: set[int]) -> Iterator[str]:
    """Images that the options do not choose, or that are both used and left out."""
    used, chosen = held.images.keys(), options.images.rule()
    taken = set() if options.limit else set(options.images.take)
    odd = {id for id in used if held.images[id] != options.variants or held.highest[id] >= options.variants}
    for ids, what in (
        (left_out & used, "leaves out images that have samples"),
        (
            odd,
            f"has options of {count(options.variants, 'variant')} per image, which some images do not have",
        ),
        (
            {id for id in used | left_out if not chosen(id)},
            "has options that do not choose some of its images",
        ),
        (taken - used - left_out, "lacks images that its options take"),
    ):
        if ids:
            yield f"{what}: {some(sorted(ids))}"
    if options.limit and len(used) > options.limit:
        yield f"has options that allow {count(options.limit, 'image')} at most, the shards hold {len(used):,}"
    if options.licenses and not held.licenses.keys() <= set(options.licenses):
        yield f"has options that do not choose all licenses in the shards: {some(sorted(held.licenses))}"


def _wrong_notes(manifest: Manifest, held: Held) -> Iterator[str]:
    strange = {id for ids in manifest.noted.values() for id in ids} - held.images.keys()
    if strange:
        yield f"has notes on images that have no samples: {some(sorted(strange))}"


def _wrong_files(
    manifest: Manifest, options: BuildOptions, held: Held, left_out: Collection[int]
) -> Iterator[str]:
    """Each image has a picture, and a mask or depth map, which several may share; instances need no mask."""
    second = options.masks == "panoptic" or options.depth != "none"
    least = len(held.files) + second + len(manifest.left_out_files)
    most = (len(held.images) + len(left_out)) * (1 + second)
    if not least <= manifest.inputs.files <= most:
        yield f"gives {count(manifest.inputs.files, 'input file')}, its images have {least:,} to {most:,}"
