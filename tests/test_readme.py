"""The README's pictures and links exist, and its Python makes what its comments say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"
ON_GITHUB = "https://raw.githubusercontent.com/mfsynth/mfsynth/main/"


@pytest.fixture
def text() -> str:
    return README.read_text("utf-8")


def test_python_makes_what_its_comments_say(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it runs, scripts/check_docs.py shows; here are its shapes. Other packages' blocks are left out."""
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ours = [block for block in blocks if re.search(r"mfsynth\.|zoo\.", block)]
    assert len(ours) == 5
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in ours:
        exec(block, names)
    assert names["batch"]["frames"].shape == (8, 2, 3, 128, 128)
    assert names["batch"]["focus"].shape == (8, 128, 128)
    assert {0, 1} <= set(names["sample"].focus.ravel().tolist())
    assert names["fused"].image.shape == (128, 128, 3)


def test_pictures_are_shown_wherever_the_readme_is_and_exist(text: str) -> None:
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert pictures
    for picture in pictures:
        assert picture.startswith(ON_GITHUB), "a package index shows absolute links only"
        assert (README.parent / picture.removeprefix(ON_GITHUB)).is_file(), picture


def test_every_local_link_leads_somewhere(text: str) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)", text)
    assert "docs/index.md" in links
    for link in links:
        assert (README.parent / link).exists(), link
