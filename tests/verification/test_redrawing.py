"""Recipes of format 2 are drawn again from picture, segment map and options, and so are the traits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from forged import KEY, change_recipe, problems, rewrite

from mfsynth.building.run import Run, build
from mfsynth.options import BuildOptions
from mfsynth.shards.manifest import Manifest, fingerprint
from mfsynth.shards.recipes import recipes

OPTIONS = BuildOptions(
    "small", shards=3, store="recipe", frames=3, planes=5, order="layout", kernel="polygon",
    boundary="spread", light="linear", noise=(0.05, 0.1), noise_model="poisson-gaussian", capture="camera",
    breathing=2.0, min_sharpness=7.25,
)  # fmt: skip


@pytest.fixture(scope="module")
def optical(small_coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("optical") / "set"
    build(OPTIONS, Run(small_coco, out, workers=1))
    return out


@pytest.fixture
def out(optical: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(optical, tmp_path / "set"))


def test_a_whole_set_passes_and_some_of_it_is_grouped(optical: Path) -> None:
    assert problems(optical, 0) == ""
    groups = [
        each.group != place
        for recipe in recipes(str(optical), Manifest.read(optical))
        for place, each in enumerate(recipe.optics.segments if recipe.optics else ())
    ]
    assert any(groups)
    assert not all(groups)


TRAITS: dict[str, Callable[[dict], object]] = {
    "sharpness": lambda r: r["optics"]["segments"][1].update(sharpness=12.5),
    "bottom": lambda r: r["optics"]["segments"][2].update(bottom=3),
    "group": lambda r: [each.update(group=index) for index, each in enumerate(r["optics"]["segments"])],
}


@pytest.mark.parametrize("name", TRAITS)
def test_traits_are_those_of_picture_and_segment_map(out: Path, name: str) -> None:
    rewrite(out, change_recipe(TRAITS[name]))
    assert f"sample {KEY}: its recipe does not have the traits of its segments" in problems(out, 0)


def test_a_group_that_does_not_follow_from_the_options_is_found(out: Path) -> None:
    """All that the recipe says fits, but the options would not have grouped."""
    manifest = json.loads((out / "manifest.json").read_text())
    options = {name: value for name, value in manifest["options"].items() if name != "min_sharpness"}
    manifest |= {"options": options, "options_fingerprint": fingerprint(options)}
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert "its recipe does not have the traits of its segments" in problems(out, 0)


DRAWN: dict[str, Callable[[dict], object]] = {
    "stuff": lambda r: [
        each.update(stuff=int(segment["id"] == 0 or not each["stuff"]))
        for segment, each in zip(r["segments"], r["optics"]["segments"], strict=True)
    ],
    "radius": lambda r: (r["optics"].update(radius=5.0), r["blur"].update(sigma=2.5)),
    "blades": lambda r: r["optics"].update(blades=12),
    "rotation": lambda r: r["optics"].update(rotation=0.25),
    "boundary": lambda r: r["optics"].update(boundary="hard"),
    "light": lambda r: r["optics"].update(light="srgb"),
    "shot noise": lambda r: r["optics"].update(shot_noise=0.5),
    "read noise": lambda r: r["optics"].update(read_noise=0.5),
    "planes": lambda r: r["optics"].update(planes=6),
    "scale": lambda r: r["optics"]["frames"][1].update(scale=1.1),
    "shift": lambda r: r["optics"]["frames"][1].update(shift_x=1.5),
    "exposure": lambda r: r["optics"]["frames"][2].update(exposure=0.5),
    "quality": lambda r: r["optics"]["frames"][2].update(quality=33),
    "noise": lambda r: r["frames"][1].update(noise_sigma=0.5),
    "focus": lambda r: r["frames"][1].update(plane=1),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_field_of_the_optics_is_drawn_again(out: Path, name: str) -> None:
    rewrite(out, change_recipe(DRAWN[name]))
    assert f"sample {KEY}: its recipe is not what its seed draws" in problems(out, 0)


def test_a_recipe_of_the_other_format_is_found(out: Path) -> None:
    rewrite(out, change_recipe(lambda r: (r.pop("optics"), r.update(format=1), _in_frames(r))))
    assert f"sample {KEY}: its recipe has format 1, the manifest's layout has targets" in problems(out, 0)


def _in_frames(recipe: dict) -> None:
    for each in (*recipe["segments"], *recipe["frames"]):
        each["plane"] = min(each["plane"], 2)
