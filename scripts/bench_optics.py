"""The unavoidable steps of rendering real optics, for `bench_build.py`, as in `bench_floor.py`.

The layers are prepared: the floor blurs each where it is, at every distance at which a frame needs it, by the
fastest route that `bench_kernels.py` found, and adds it to its frames. What peeling and filling cost is ours.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from bench_floor import Item, Step, floor_hash, floor_png, floor_tar

from mfsynth.codecs import encode_png
from mfsynth.sample import Sample, Scene, Window
from mfsynth.synthesis.optics.circles import blur_size
from mfsynth.synthesis.optics.frames import Lens, clean_frames, keep_memory
from mfsynth.synthesis.optics.kernels import Aperture
from mfsynth.synthesis.optics.layers import Layer, peel
from mfsynth.synthesis.optics.light import picture_of, values_of
from mfsynth.synthesis.render import render


@dataclass
class Prepared:
    """A scene with all that its floor needs."""

    scene: Scene
    sample: Sample
    layers: list[Layer]
    lens: Lens
    clean: tuple[np.ndarray, ...]

    @staticmethod
    def of(scene: Scene) -> Prepared:
        """Render a scene, keeping what happens between the stages."""
        optics = scene.recipe.optics
        assert optics is not None
        whole, lens = Window(0, 0, *scene.size), Lens(scene, optics)
        layers = list(peel(scene, optics, whole, lens.reach))
        return Prepared(scene, render(scene), layers, lens, clean_frames(scene, optics, whole))


def floor_lens(made: Prepared) -> None:
    """Blur every layer at each of its distances, and add it to the frames that need it."""
    scene, optics = made.scene, made.scene.recipe.optics
    assert optics is not None
    aperture = Aperture(scene.recipe.blur.kernel, optics.blades, optics.rotation)
    frames = [np.zeros((*scene.size, 3), np.float32) for _ in scene.recipe.frames]
    open_ = [np.ones(scene.size, np.float32) for _ in scene.recipe.frames]
    for layer in made.layers:
        at = layer.part.slices
        blurred: dict[int, tuple[np.ndarray, np.ndarray | None]] = {}
        for number, frame in enumerate(scene.recipe.frames):
            distance = abs(layer.plane - frame.plane)
            if distance not in blurred:
                size = blur_size(scene.recipe, distance)
                matte = None if layer.matte is None else aperture.blur(layer.matte, size)
                blurred[distance] = aperture.blur(layer.light, size), matte
            light, matte = blurred[distance]
            cv2.accumulateProduct(light, cv2.merge([open_[number][at]] * 3), frames[number][at])
            if matte is not None:
                cv2.multiply(open_[number][at], 1 - matte, open_[number][at])


def floor_targets(made: Prepared) -> None:
    """Every frame's error, smoothed."""
    for frame in made.sample.frames:
        red, green, blue = cv2.split(cv2.absdiff(frame, made.sample.gt))
        error = cv2.max(cv2.max(red, green), blue)
        cv2.boxFilter(error, cv2.CV_16S, (3, 3), normalize=False)


def floor_noise(made: Prepared) -> None:
    """Raw words, their quantiles, and their addition, for every frame that has noise."""
    for frame, clean in zip(made.scene.recipe.frames, made.clean, strict=True):
        if frame.noise_sigma:
            words = np.random.Philox(key=7).random_raw(clean.size // 4).view(np.uint16)
            noise = cv2.LUT(words.reshape(-1, 1), _QUANTILES).reshape(clean.shape)
            cv2.add(clean, cv2.multiply(noise, cv2.sqrt(clean)))


def floor_jpeg(made: Prepared) -> None:
    """Every frame through a JPEG, where the recipe has one."""
    optics = made.scene.recipe.optics
    assert optics is not None
    for shot, frame in zip(optics.frames, made.sample.frames, strict=True):
        if shot.quality:
            _, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, shot.quality])
            cv2.imdecode(data, cv2.IMREAD_COLOR)


_QUANTILES = np.linspace(-4, 4, 1 << 16, dtype=np.float32)


def optical_steps(decode: list[Step], scratch: io.BufferedWriter) -> list[Step]:
    """The steps of a build with `--preset realistic`; `decode` are those that every build has."""
    kept: dict[str, Prepared] = {}

    def each(call: Callable[[Prepared], object]) -> Callable[[Item], object]:
        def run(item: Item) -> None:
            for scene in item.scenes:
                if scene.key not in kept:
                    kept[scene.key] = Prepared.of(scene)
                call(kept[scene.key])

        return run

    def arrays(made: Prepared) -> tuple[np.ndarray, ...]:
        return (made.sample.focus, made.sample.nearest, made.sample.certain, *made.sample.frames)

    def lens(made: Prepared) -> object:
        optics = made.scene.recipe.optics
        assert optics is not None
        return clean_frames(made.scene, optics, Window(0, 0, *made.scene.size))

    keep_memory()
    return [
        *decode,
        Step("to linear light", "image", lambda i: values_of(i.image.picture, "linear")),
        Step("optics: blur and composition", "sample", each(floor_lens), each(lens)),
        Step("optics: back to sRGB", "sample", each(lambda m: [picture_of(c, "linear") for c in m.clean])),
        Step("optics: targets", "sample", each(floor_targets)),
        Step("optics: noise", "sample", each(floor_noise)),
        Step("optics: JPEG", "sample", each(floor_jpeg)),
        Step("encode frames and maps", "sample", each(lambda m: [floor_png(a) for a in arrays(m)]),
             each(lambda m: [encode_png(a) for a in arrays(m)])),
        Step("tar", "sample", lambda i: [floor_tar(i.members, scratch) for _ in i.scenes]),
        Step("SHA-256", "sample", lambda i: [floor_hash(i.members) for _ in i.scenes]),
    ]  # fmt: skip
