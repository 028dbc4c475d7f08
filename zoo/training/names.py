"""What a source of live training data is called: `coco:DIR:SPLIT` or `coco:DIR:SPLIT:PRESET`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mfsynth.errors import OptionsError
from mfsynth.options import PRESETS, Preset

COCO = "coco:"


@dataclass(frozen=True, slots=True)
class CocoName:
    """What `coco:DIR:SPLIT` or `coco:DIR:SPLIT:PRESET` names; a folder may have colons, a split may not.

    The last word of three or more is a preset if it is the name of one.
    """

    folder: str
    split: str
    preset: Preset = "paper"

    @staticmethod
    def parse(location: str) -> CocoName:
        """Read what follows `coco:`.

        >>> CocoName.parse("coco:data:train2017:realistic")
        CocoName(folder='data', split='train2017', preset='realistic')
        >>> CocoName.parse("coco:my:data:train2017")
        CocoName(folder='my:data', split='train2017', preset='paper')
        """
        folder, _, last = location.removeprefix(COCO).rpartition(":")
        before, colon, split = folder.rpartition(":")
        for name in PRESETS:
            if colon and last == name:
                return CocoName(before, split, name)
        return CocoName(folder, last)

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder).expanduser()

    def __str__(self) -> str:
        """As on the command line, but without the folder, and without the preset that is the default.

        >>> str(CocoName.parse("coco:data:train2017:realistic"))
        'coco:DIR:train2017:realistic'
        """
        return f"coco:DIR:{self.split}" + ("" if self.preset == "paper" else f":{self.preset}")

    def check(self, location: str) -> None:
        """Check that folder and split are named, and that the last word was taken for what it is.

        Args:
            location: The text that was parsed.

        Raises:
            OptionsError: If they are not, or the folder is missing, but would be there if the last word were
                a preset, or were not one.
        """
        if not self.folder or not self.split:
            raise OptionsError(
                f"{location} does not name a folder and a split",
                "write coco:DIR:SPLIT or coco:DIR:SPLIT:PRESET",
            )
        if self.path.is_dir():
            return
        shorter, longer = self.folder.rpartition(":")[0], f"{self.folder}:{self.split}"
        if shorter and Path(shorter).expanduser().is_dir():
            raise OptionsError(f"there is no preset {self.split!r}", f"known: {', '.join(PRESETS)}")
        if self.preset != "paper" and Path(longer).expanduser().is_dir():
            raise OptionsError(
                f"{self.preset} is read as a preset, but there is no folder {self.folder}",
                f"for the split {self.preset} of {longer}, add a preset: coco:DIR:{self.preset}:paper",
            )
