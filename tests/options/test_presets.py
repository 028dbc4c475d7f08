from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mfsynth
from mfsynth.errors import OptionsError
from mfsynth.options import PRESETS, BuildOptions, content_options, option_words, with_preset
from mfsynth.options.command import build_command

OVERRIDES: dict[str, Any] = {
    "frames": 6, "planes": 8, "order": "random", "kernel": "polygon", "radius": (3.0, 4.0),
    "boundary": "hard", "light": "srgb", "noise": (0.01, 0.02), "noise_model": "gaussian",
    "capture": "clean", "breathing": 1.0, "min_sharpness": 0.0,
}  # fmt: skip


def test_paper_is_the_default_and_realistic_is_not() -> None:
    assert content_options("s", preset="paper") == content_options("s") == BuildOptions("s")
    assert not BuildOptions("s").draw.optical
    assert content_options("s", preset="realistic").draw.optical
    assert content_options("s", preset="realistic", frames=6).frames == 6


@given(st.sets(st.sampled_from(sorted(OVERRIDES))))
def test_whatever_is_given_overrides_the_preset_and_nothing_else_changes(names: set[str]) -> None:
    given = {name: OVERRIDES[name] for name in names}
    made = with_preset("realistic", "s", given)
    idle = {"noise_model"} if "capture" in names and "noise" not in names else set()
    if idle & names and given["noise_model"] != "gaussian":
        return
    for name, value in (PRESETS["realistic"] | given).items():
        if name not in idle:
            assert getattr(made, name) == value, name
    assert made.sigma == BuildOptions("s").sigma


def test_what_a_preset_sets_without_effect_keeps_its_default() -> None:
    plain = BuildOptions("s")
    assert with_preset("realistic", "s", {"kernel": "gaussian", "sigma": (2.0, 3.0)}).radius == plain.radius
    assert with_preset("realistic", "s", {"capture": "clean"}).noise_model == "gaussian"
    assert with_preset("realistic", "s", {"depth": "near"}).order == "random"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"radius": (2.0, 3.0)}, "--radius has no effect on a Gaussian"),
        ({"kernel": "disk", "sigma": (2.0, 3.0)}, "--sigma has no effect on a disk or a polygon"),
        ({"fill": "inpaint"}, "--fill has no effect on a hard boundary; give --boundary spread"),
        ({"noise_model": "poisson-gaussian"}, "--noise-model has no effect without noise"),
        ({"depth": "near", "order": "layout"}, "--order has no effect with --depth"),
        ({"frames": 6, "planes": 4}, "--planes is 4, it must be from the number of frames, 6, to 255"),
        ({"frames": 1}, "--frames is 1, it must be from 2 to 32"),
        ({"frames": 33}, "--frames is 33"),
        ({"planes": 256}, "--planes is 256"),
        ({"kernel": "star"}, "--kernel is 'star', it must be one of"),
        ({"boundary": "soft"}, "--boundary is 'soft'"),
        ({"kernel": "disk", "radius": (0.1, 3.0)}, "--radius is"),
        ({"kernel": "disk", "radius": (3.0, 2.0)}, "--radius is"),
        ({"breathing": 21.0}, "--breathing is 21.0, it must be from 0 to 20"),
        ({"breathing": float("nan")}, "--breathing is nan"),
        ({"min_sharpness": -1.0}, "--min-sharpness is -1.0"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionsError, match=told):
        BuildOptions("s", **options)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"preset": "real"}, "there is no preset 'real'; known: paper, realistic"),
        ({"preset": ["paper"]}, r"there is no preset \['paper'\]"),
        ({"min_area": "much"}, "min_area is 'much', it must be a number"),
        ({"frames": 2.5}, "frames is 2.5, it must be a whole number"),
        ({"breathing": "much"}, "breathing is 'much', it must be a number"),
        ({"radius": 3}, "radius is 3, it must be two numbers"),
        ({"kernal": "disk"}, r"there is no option 'kernal'; did you mean kernel\?"),
    ],
)
def test_keywords_that_make_no_sense_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionsError, match=told):
        content_options("s", **options)


def test_keywords_take_numbers_of_any_type() -> None:
    import numpy as np

    made = content_options("s", kernel="disk", radius=[np.float32(2), 3], frames=np.int64(3), breathing=1)
    assert made == BuildOptions("s", kernel="disk", radius=(2.0, 3.0), frames=3, breathing=1.0)


def test_python_takes_presets_as_the_command_line_does(small_coco: Any) -> None:
    sample = next(
        iter(mfsynth.synthesize(small_coco, "small", preset="realistic", frames=3, min_sharpness=0))
    )
    assert len(sample.frames) == 3
    assert sample.recipe.optics is not None
    assert (sample.recipe.blur.kernel, sample.recipe.optics.light) == ("disk", "linear")


@given(st.sets(st.sampled_from(sorted(OVERRIDES))))
def test_the_command_of_a_build_gives_its_options(names: set[str]) -> None:
    """Parsed by click as the shell would hand it over."""
    from mfsynth.cli import given_content, main

    made = with_preset("realistic", "s", {name: OVERRIDES[name] for name in names})
    words = shlex.split(build_command(made))[2:]
    context = main.commands["build"].make_context("build", words)
    assert BuildOptions(**{name: context.params[name] for name in given_content(context)}) == made


def test_options_survive_json() -> None:
    made = with_preset("realistic", "s", OVERRIDES)
    assert BuildOptions.from_json(made.to_json()) == made
    assert option_words("depth", "near") == ["--depth", "depth"]
