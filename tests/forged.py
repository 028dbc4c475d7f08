"""Forges samples of finished data sets so that every hash fits, and asks verify."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

from mfsynth.verification.check import verify

Members = dict[str, bytes]

KEY = "000000000013-000"
"""The sample that is forged."""


def rewrite(out: Path, change: Callable[[Members], object], shard: str = "small-000000.tar") -> None:
    """Change a shard's members, and make side file and manifest agree, so that hashes cannot tell."""
    with tarfile.open(out / shard) as archive:
        members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
    change(members)
    with tarfile.open(out / shard, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    manifest = json.loads((out / "manifest.json").read_text())
    entry = next(entry for entry in manifest["shards"] if entry["name"] == shard)
    data = (out / shard).read_bytes()
    entry |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (out / "manifest.json").write_text(json.dumps(manifest))


def problems(out: Path, samples: int = 18) -> str:
    result = verify(out, samples=samples, workers=1)
    return "\n".join(f"{problem.shard} {problem.text}" for problem in result.problems)


def change_recipe(change: Callable[[dict], object]) -> Callable[[Members], None]:
    def rewrite(members: Members) -> None:
        recipe = json.loads(members[f"{KEY}.json"])
        change(recipe)
        members[f"{KEY}.json"] = json.dumps(recipe, separators=(",", ":")).encode()

    return rewrite
