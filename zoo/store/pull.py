"""Networks from the Hugging Face Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mfsynth.hub import Repository, fetch
from zoo.errors import MissingFileError
from zoo.store.files import FILES, WEIGHTS, only_pickles, pickles_among

if TYPE_CHECKING:
    from pathlib import Path

    from mfsynth.hub import Snapshot


def pull(
    repository: str,
    revision: str | None = None,
    *,
    cache: Path | None = None,
    token: str | bool | None = None,
    force: bool = False,
    local: bool = False,
) -> Snapshot:
    """Download a network's files into the Hub client's cache, each checked against the Hub's hash.

    Args:
        repository: `organization/name`.
        revision: Branch, tag or commit; None means `main`.
        cache: As for `mfsynth.hub.fetch`.
        token: As for `mfsynth.hub.fetch`.
        force: As for `mfsynth.hub.fetch`.
        local: As for `mfsynth.hub.fetch`.

    Raises:
        HubError: As one of its subclasses.
        MissingFileError: If the repository holds no network, or only pickles.
    """
    remote = Repository(repository, "model", revision)
    snapshot = fetch(remote, FILES, cache=cache, token=token, force=force, local=local)
    if WEIGHTS not in snapshot.names:
        if pickles := pickles_among(snapshot.names):
            raise only_pickles(str(remote), pickles)
        raise MissingFileError(f"{remote} has no {WEIGHTS}", "check that it is a network of mfsynth")
    return snapshot
