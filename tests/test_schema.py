"""Dataclasses to JSON and back across releases: what an older one wrote, and what a later one may."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mfsynth import schema
from mfsynth.errors import ShardError


@dataclass(frozen=True)
class Lens:
    f_number: float
    blades: int = field(default=0, metadata=schema.since("0.3.0"))


@dataclass(frozen=True)
class Camera:
    name: str
    lens: Lens
    levels: tuple[int, ...] = ()
    others: tuple[Lens, ...] = field(default=(), metadata=schema.since("0.2.0"))
    notes: dict[str, Any] = field(default_factory=dict, metadata=schema.since("0.2.0"))


OLD = Camera("a", Lens(2.0), (1, 2))
OLD_JSON = {"name": "a", "lens": {"f_number": 2.0}, "levels": [1, 2]}

lenses = st.builds(Lens, st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 20))
cameras = st.builds(
    Camera,
    st.text(),
    lenses,
    st.lists(st.integers(0, 9)).map(tuple),
    st.lists(lenses).map(tuple),
    st.dictionaries(st.text(), st.integers(0, 9) | st.text()),
)


def read(values: dict[str, Any], release: str = "") -> Camera:
    return schema.from_json(values, Camera, "the cameras", error=ShardError, release=release)


def test_later_fields_at_their_default_are_not_written() -> None:
    assert schema.to_json(OLD) == OLD_JSON
    new = Camera("a", Lens(2.0, 7), (1, 2), (Lens(4.0),), {"x": 1})
    assert schema.to_json(new) == {
        "name": "a",
        "lens": {"f_number": 2.0, "blades": 7},
        "levels": [1, 2],
        "others": [{"f_number": 4.0}],
        "notes": {"x": 1},
    }


def test_fields_keep_their_order() -> None:
    assert list(schema.to_json(OLD)) == list(OLD_JSON)


def test_absent_fields_take_their_defaults() -> None:
    assert read(OLD_JSON) == OLD
    assert read({"name": "a", "lens": {"f_number": 2}}) == Camera("a", Lens(2.0))


@given(cameras)
def test_what_is_written_is_read_again(camera: Camera) -> None:
    written = schema.to_json(camera)
    assert read(json.loads(json.dumps(written))) == camera
    schema.check_fields(written, Camera, "the cameras", error=ShardError)


@given(st.sets(st.from_regex(r"[a-z]{1,8}", fullmatch=True).map("later_{}".format), min_size=1))
def test_unknown_fields_are_named_wherever_they_are(names: set[str]) -> None:
    added = dict.fromkeys(names, 1)
    for values, path in (
        (OLD_JSON | added, ""),
        (OLD_JSON | {"lens": {"f_number": 2.0} | added}, "lens."),
        (OLD_JSON | {"others": [{"f_number": 2.0}, {"f_number": 3.0} | added]}, "others."),
    ):
        with pytest.raises(ShardError) as caught:
            read(values)
        shown = ", ".join(sorted(f"{path}{name}" for name in names))
        assert str(caught.value) == f"unknown fields in the cameras: {shown}; update mfsynth"


def test_unknown_fields_are_refused_with_the_release_that_wrote_them() -> None:
    with pytest.raises(ShardError, match=r"cameras: iso; written by mfsynth 0\.9\.0: update mfsynth$"):
        read(OLD_JSON | {"iso": 100}, "0.9.0")


def test_dictionaries_of_any_values_may_have_any_names() -> None:
    assert read(OLD_JSON | {"notes": {"iso": {"low": 1}}}).notes == {"iso": {"low": 1}}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"name": "a"}, r"missing required field `lens`"),
        (OLD_JSON | {"name": 7}, r"Expected `str`, got `int` - at `\$\.name`"),
        (OLD_JSON | {"lens": {}}, r"missing required field `f_number` - at `\$\.lens`"),
        (OLD_JSON | {"levels": 3}, r"Expected `array`, got `int` - at `\$\.levels`"),
    ],
)
def test_malformed_values_are_named_with_their_place(values: dict[str, Any], text: str) -> None:
    with pytest.raises(ShardError, match=f"the cameras are malformed: .*{text}"):
        read(values)
