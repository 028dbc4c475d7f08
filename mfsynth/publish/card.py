"""A data set's card: cards/dataset.md, filled in from the manifest and from counts of the recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mfsynth.cards import template
from mfsynth.coco import notes
from mfsynth.coco.exclusions import MEANING
from mfsynth.options import BuildOptions, Selection
from mfsynth.options.command import build_command
from mfsynth.options.words import SELECTION
from mfsynth.publish.attribution import ATTRIBUTION
from mfsynth.publish.licenses import ANNOTATIONS, licenses_of
from mfsynth.publish.looks import blur, edges, noise
from mfsynth.publish.members import members
from mfsynth.publish.words import hub_split, is_coco, plain, provenance, readable, size_category, tags, title

if TYPE_CHECKING:
    from collections.abc import Mapping

    from huggingface_hub import DatasetCardData

    from mfsynth.hub import Repository
    from mfsynth.shards.manifest import Manifest


def dataset_card(
    manifest: Manifest, repository: Repository, images: Mapping[int, int], picture: str = ""
) -> str:
    """The card of a data set, metadata and text.

    Args:
        manifest: The data set's manifest.
        repository: The repository to publish it in.
        images: Number of images by license id.
        picture: File in the repository that shows samples; empty if there is none.
    """
    from huggingface_hub import DatasetCard

    options = BuildOptions.of(manifest)
    card = DatasetCard.from_template(
        card_data(manifest, repository),
        template_str=template("dataset.md"),
        title=title(manifest),
        manifest=manifest,
        options=options,
        frames=manifest.layout.frames,
        optics=manifest.layout.targets,
        blur=blur(options),
        edges=edges(options),
        noise=noise(options),
        provenance=provenance(manifest),
        repository=repository,
        hub_split=hub_split(manifest.split),
        braces=shard_braces(manifest),
        size=readable(sum(shard.size for shard in manifest.shards)),
        images=images,
        members=members(manifest.layout),
        licenses=[(each, plain(each.name)) for each in licenses_of(manifest)],
        excluded={reason: len(ids) for reason, ids in manifest.left_out.items()},
        meaning=MEANING | notes.MEANING,
        command=build_command(options),
        selection=SELECTION if options.images != Selection() else "",
        attribution=ATTRIBUTION,
        picture=picture,
    )
    return str(card)


def card_data(manifest: Manifest, repository: Repository) -> DatasetCardData:
    """The card's metadata, in the Hub's vocabulary."""
    from huggingface_hub import DatasetCardData

    files = {"split": hub_split(manifest.split), "path": f"{manifest.split}-*.tar"}
    return DatasetCardData(
        pretty_name=title(manifest),
        size_categories=[size_category(manifest.samples)],
        task_categories=["image-to-image", "image-segmentation"],
        task_ids=_task_ids(BuildOptions.of(manifest)),
        tags=tags(manifest),
        configs=[{"config_name": "default", "data_files": [files]}],
        **license_data(manifest, repository),
    )


def _task_ids(options: BuildOptions) -> list[str] | None:
    """What the outlines are of; layers of depth maps are no segmentation."""
    return [f"{options.masks.removesuffix('s')}-segmentation"] if options.depth == "none" else None


def license_data(manifest: Manifest, repository: Repository) -> dict[str, Any]:
    """The license in the metadata: the one that covers all, if the Hub knows it, else a link to the table."""
    ids = {each.terms.hub if each.terms else "" for each in licenses_of(manifest)}
    if is_coco(manifest):
        ids.add(ANNOTATIONS.hub)
    if len(ids) == 1 and "" not in ids:
        return {"license": ids.pop()}
    link = f"{repository.url}/blob/main/{ATTRIBUTION}"
    return {"license": "other", "license_name": "per-picture", "license_link": link}


def shard_braces(manifest: Manifest) -> str:
    """The names of all shards in brace notation, for webdataset."""
    first, last = (manifest.shards[k].name.removesuffix(".tar").rpartition("-")[2] for k in (0, -1))
    return f"{manifest.split}-{{{first}..{last}}}.tar"
