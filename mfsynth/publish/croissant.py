"""croissant.json: a machine-readable description of the files (https://docs.mlcommons.org/croissant/).

Each member has a record set, as mlcroissant, which most tools use to read the description, cannot join so
many sets of files. The field `key` is common to all of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mlcroissant as mlc

from mfsynth.publish.attribution import ATTRIBUTION, COLUMNS
from mfsynth.publish.licenses import ANNOTATIONS, licenses_of
from mfsynth.publish.members import members
from mfsynth.publish.words import is_coco, tags, title
from mfsynth.shards.layout import MANIFEST
from mfsynth.storage import digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mfsynth.hub import Repository
    from mfsynth.publish.members import Member
    from mfsynth.shards.manifest import Manifest

_CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_KEY = r"^(\d+-\d+)\."
_NUMBERS = ("image_id", "samples")
_DESCRIPTION = (
    "{samples} samples for multi-focus image fusion, made from {images} pictures: {frames}. With the "
    "all-in-focus ground truth and a focus map, which gives the frame that is sharp at each pixel{targets}. "
    "WebDataset shards, made by mfsynth."
)
_PAIR = "some objects are blurred in one frame, the rest in the other"
_STACK = "each of {count} frames is focused at another distance"
_TARGETS = (
    "; `nearest` gives the frame nearest to the ground truth, and `certain` says where that frame shows it"
)
_CITATION = (
    "Guerrero Peña et al., A Multiple Source Hourglass Deep Network for Multi-Focus Image Fusion, "
    "arXiv:1908.10945, 2019"
)


def croissant(
    manifest: Manifest, repository: Repository, images: int, documents: Mapping[str, bytes | Path]
) -> bytes:
    """The Croissant file of a data set.

    Args:
        manifest: The data set's manifest.
        repository: The repository to publish it in.
        images: Number of images.
        documents: The manifest's file and the table of attributions, by name.
    """
    nodes = _Nodes(mlc.Context(conforms_to=_CONFORMS_TO), f"{repository.url}/resolve/main")
    found = members(manifest.layout)
    shards = [nodes.file(each.name, "application/x-tar", each.size, each.sha256) for each in manifest.shards]
    inside = [shard.id for shard in shards]
    metadata = mlc.Metadata(
        ctx=nodes.context,
        name=title(manifest),
        description=_description(manifest, images),
        url=repository.url,
        license=_licenses(manifest),
        keywords=tags(manifest),
        cite_as=_CITATION,
        distribution=[
            *shards,
            nodes.document(MANIFEST, "application/json", documents[MANIFEST]),
            nodes.document(ATTRIBUTION, "text/tab-separated-values", documents[ATTRIBUTION]),
            *(nodes.files(each, inside) for each in found),
        ],
        record_sets=[*(nodes.records(each) for each in found), nodes.images()],
    )
    return (json.dumps(metadata.to_json(), indent=1, ensure_ascii=False) + "\n").encode()


def _description(manifest: Manifest, images: int) -> str:
    layout = manifest.layout
    return _DESCRIPTION.format(
        samples=manifest.samples,
        images=images,
        frames=_PAIR if layout.frames == 2 else _STACK.format(count=layout.frames),
        targets=_TARGETS if layout.targets else "",
    )


def _licenses(manifest: Manifest) -> list[str]:
    pictures = [each.url or each.name for each in licenses_of(manifest)]
    return pictures + ([ANNOTATIONS.url] if is_coco(manifest) else [])


@dataclass(frozen=True, slots=True)
class _Nodes:
    """Makes Croissant's nodes; `url` is that of the folder with the files."""

    context: Any
    url: str

    def file(self, name: str, media_type: str, size: int, sha256: str) -> Any:
        return mlc.FileObject(
            ctx=self.context,
            id=name,
            name=name,
            content_url=f"{self.url}/{name}",
            content_size=f"{size} B",
            encoding_formats=[media_type],
            sha256=sha256,
        )

    def document(self, name: str, media_type: str, data: bytes | Path) -> Any:
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        return self.file(name, media_type, size, digest(data))

    def files(self, member: Member, inside: Sequence[str]) -> Any:
        """One member of every sample, inside the shards."""
        return mlc.FileSet(
            ctx=self.context,
            id=_set_id(member),
            name=_set_id(member),
            description=member.text,
            contained_in=list(inside),
            includes=[f"*.{member.field}"],
            encoding_formats=[member.media_type],
        )

    def records(self, member: Member) -> Any:
        """One member of every sample, by the sample's key."""
        kind = mlc.DataType.IMAGE_OBJECT if member.is_picture else mlc.DataType.TEXT
        key = self._field(
            f"{member.name}/key",
            "the sample's key",
            mlc.DataType.TEXT,
            file_set=_set_id(member),
            extract=mlc.Extract(ctx=self.context, file_property="filename"),
            transforms=[mlc.Transform(ctx=self.context, regex=_KEY)],
        )
        content = self._field(
            f"{member.name}/content",
            f"{member.text} ({member.form})",
            kind,
            file_set=_set_id(member),
            extract=mlc.Extract(ctx=self.context, file_property="content"),
        )
        return self._records(member.name, f"{member.field} of every sample", [key, content])

    def images(self) -> Any:
        """The table of attributions."""
        fields = [
            self._field(
                f"images/{name}",
                text,
                mlc.DataType.INTEGER if name in _NUMBERS else mlc.DataType.TEXT,
                file_object=ATTRIBUTION,
                extract=mlc.Extract(ctx=self.context, column=name),
            )
            for name, text in COLUMNS.items()
        ]
        return self._records("images", "every image with its license", fields)

    def _records(self, name: str, text: str, fields: list[Any]) -> Any:
        """A record set with its first field as the key."""
        return mlc.RecordSet(
            ctx=self.context, id=name, name=name, description=text, key=[fields[0].id], fields=fields
        )

    def _field(self, id: str, text: str, kind: Any, **source: Any) -> Any:
        return mlc.Field(
            ctx=self.context,
            id=id,
            name=id.rpartition("/")[2],
            description=text,
            data_types=kind,
            source=mlc.Source(ctx=self.context, **source),
        )


def _set_id(member: Member) -> str:
    return f"{member.name}-files"
