"""Which images a user takes: ids, and files of ids."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mfsynth import limits
from mfsynth.coco.annotations.records import MAX_ID
from mfsynth.errors import OptionsError

_ID_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Selection:
    """Image ids to take (empty takes all), and ids to leave out."""

    take: tuple[int, ...] = ()
    leave: tuple[int, ...] = ()

    def rule(self) -> Callable[[int], bool]:
        """A function that says whether the image with an id is taken."""
        take, leave = frozenset(self.take), frozenset(self.leave)
        return lambda image_id: (not take or image_id in take) and image_id not in leave

    @staticmethod
    def read(path: Path) -> Selection:
        """Read a file of ids, in the format of `parse`.

        Raises:
            OptionsError: If it cannot be read, a line is not an id, or there are no ids.
        """
        try:
            with path.open("rb") as file:  # which may be a pipe: --images <(jq …)
                text = file.read(limits.DOCUMENT_BYTES + 1)
            if len(text) > limits.DOCUMENT_BYTES:
                raise OptionsError(
                    f"{path} is not a list of ids: it has over {limits.DOCUMENT_BYTES:,} bytes"
                )
            return Selection.parse(text.decode("utf-8-sig"), str(path))
        except OSError as error:
            raise OptionsError(f"cannot read {path}: {error.strerror or error}") from error
        except UnicodeDecodeError as error:
            raise OptionsError(f"{path} is not a list of ids: it is not UTF-8") from error

    @staticmethod
    def parse(text: str, where: str) -> Selection:
        """Read ids, one per line; `!` before an id leaves it out; `#` begins a comment.

        >>> Selection.parse("139\\n!285 # a bear\\n", "ids.txt")
        Selection(take=(139,), leave=(285,))

        Raises:
            OptionsError: If a line is not an id, or there are no ids.
        """
        take: set[int] = set()
        leave: set[int] = set()
        for number, line in enumerate(text.splitlines(), 1):
            word = line.partition("#")[0].strip()
            if not word:
                continue
            digits = word.removeprefix("!").strip()
            if not digits.isdecimal() or len(digits) > _ID_DIGITS or int(digits) > MAX_ID:
                shown = word if len(word) <= 40 else f"{word[:40]}…"
                raise OptionsError(
                    f"{where}, line {number}: {shown!r} is not an image id", "write 139 or !139"
                )
            (leave if word.startswith("!") else take).add(int(digits))
        if not take and not leave:
            raise OptionsError(f"{where} has no image ids", "write one per line, or omit --images")
        return Selection(tuple(sorted(take)), tuple(sorted(leave)))
