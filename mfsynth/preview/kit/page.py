"""Pages: one HTML file that needs nothing else, with tables, figures and a viewer for scenes.

External data reaches the page only as JSON, and its script shows it only as text.
"""

from __future__ import annotations

import base64
from importlib.resources import files
from typing import Any

import msgspec

VIEWER = (
    "The tiles show the same place of every picture, magnified. Point at the picture to choose the place,"
    " and click to keep it. Point at a tile to see its picture, click to choose it, shift-click to compare."
)
"""How to use the viewer, for the note of its section."""


class _Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the page's JSON."""


class View(_Part, frozen=True, omit_defaults=True):
    """One picture of a scene.

    Attributes:
        name: As its button calls it.
        press: The key that shows it, if any.
        picture: Its number among the page's pictures.
        overlay: The number of a map to lay over it.
        others: The numbers of other maps, as many as the page names.
        error: The number of the picture that shows what is wrong with it.
        values: Of the page's measures, as text.
    """

    name: str
    press: str
    picture: int
    overlay: int | None = None
    error: int | None = None
    values: tuple[str, ...] = ()
    others: tuple[int, ...] = ()


class Scene(_Part, frozen=True, omit_defaults=True):
    """What the viewer shows at one time.

    Attributes:
        name: Its name, and its address in the page.
        width: In pixels.
        height: In pixels.
        views: Two or more.
        shown: The place of the view to begin with.
        facts: Rows of a table, name and value.
        notes: What is said below the picture: always, with the overlay, with the error.
        json: Shown as JSON, folded.
        other_notes: What is said with each of the other maps.
    """

    name: str
    width: int
    height: int
    views: tuple[View, ...]
    shown: int = 0
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, str, str] = ("", "", "")
    json: Any = None
    other_notes: tuple[str, ...] = ()


class Switch(_Part, frozen=True, omit_defaults=True):
    """A map that can be switched on: its name and its key."""

    name: str
    press: str


class Cell(_Part, frozen=True, omit_defaults=True):
    """A table's cell: its text, quieter text after it, small lines below it.

    `style` is `best`, `far` or `quiet`; `scene` is the name of a scene that the text links to; `title` is
    shown on hover.
    """

    text: str
    more: str = ""
    below: tuple[str, ...] = ()
    style: str = ""
    scene: str = ""
    title: str = ""


class Table(_Part, frozen=True, omit_defaults=True):
    """A table. `name` selects it where there are several in one place; `feet` are its last rows."""

    name: str
    head: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    feet: tuple[tuple[Cell, ...], ...] = ()
    note: str = ""


class Tables(_Part, frozen=True, omit_defaults=True):
    """Tables in one place: the first is shown, the others can be selected."""

    label: str
    tables: tuple[Table, ...]
    sorts: bool = False


class Figure(_Part, frozen=True):
    """A drawing."""

    caption: str
    uri: str


class Section(_Part, frozen=True, omit_defaults=True):
    """A part of the page; the one whose id is `pictures` holds the viewer."""

    id: str
    title: str
    note: str = ""
    tables: tuple[Tables, ...] = ()
    figures: tuple[Figure, ...] = ()


class Page(_Part, frozen=True, omit_defaults=True):
    """All of a page.

    Attributes:
        kind: What made it, such as "mfsynth preview".
        title: Its title.
        subtitle: A line below it.
        command: The command line that made it.
        problems: A heading, then what went wrong, one line each.
        made_from: What it was made from, shown folded: a line, and JSON.
        sections: From the top.
        scenes: What the viewer shows.
        pictures: Data URIs.
        overlay: The map over the picture.
        error: The map shown instead of the picture.
        measures: What views have values of.
        footer: The last line.
        others: Other maps over the picture; one at a time is shown.
        legend: What the maps' colors mean: names, and colors as CSS has them.
        slides: How many views, from the first, a slider flips through; 0 for none.
    """

    kind: str
    title: str
    subtitle: str
    sections: tuple[Section, ...]
    scenes: tuple[Scene, ...]
    pictures: tuple[str, ...]
    overlay: Switch
    error: Switch | None = None
    command: str = ""
    problems: tuple[str, ...] = ()
    made_from: tuple[str, Any] | None = None
    measures: tuple[str, ...] = ()
    footer: str = ""
    others: tuple[Switch, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    slides: int = 0

    def to_html(self) -> bytes:
        """The page as UTF-8."""
        data = msgspec.json.encode(self, enc_hook=str).decode().replace("<", "\\u003c")
        kit = files(__package__)
        text = kit.joinpath("page.html").read_text("utf-8")
        for mark, content in {
            "/*STYLE*/": kit.joinpath("page.css").read_text("utf-8"),
            "/*SCRIPT*/": kit.joinpath("page.js").read_text("utf-8"),
            "@DATA@": data,
        }.items():
            text = text.replace(mark, content)
        return text.encode()


class Pictures:
    """A page's pictures, each once however often it is shown."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    @property
    def uris(self) -> tuple[str, ...]:
        """All of them, in the order of their numbers."""
        return tuple(self._places)

    def add(self, kind: str, data: bytes) -> int:
        """The number of a picture: `jpeg`, `png` or `webp`."""
        return self._places.setdefault(data_uri(kind, data), len(self._places))


def data_uri(kind: str, data: bytes) -> str:
    """A picture as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
