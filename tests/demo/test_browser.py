"""The page that fuses pictures in a browser, as its users meet it: in Chromium, from a plain file server."""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from demo.browser import PATIENCE, Tool, files, large_pair, opened, rgb, served
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser

import mfsynth
import zoo
from zoo.publishing.example import known_pair

ROOT = Path(__file__).parents[2]
LYTRO = ROOT.parent / "shared" / "lytro"

Opens = Callable[..., AbstractContextManager[Tool]]


@pytest.fixture(scope="module")
def network() -> zoo.FusionModel:
    return zoo.load("focus-set-small")


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    """A part of the known pair, as two files."""
    return files(tmp_path, [frame[100:260, 200:400] for frame in known_pair().frames])


def agree(tool: Tool, network: zoo.FusionModel, paths: list[Path]) -> None:
    """Check what the page made against what Python makes."""
    fused = network.fuse([rgb(path) for path in paths])
    assert np.mean(tool.decision() == fused.decision) >= 0.999
    apart = np.abs(tool.saved().astype(int) - fused.image)
    assert np.mean(apart > 1) <= 0.001


def test_a_pair_becomes_what_python_makes_of_it_and_only_the_server_is_asked(
    page: Opens, network: zoo.FusionModel, pair: list[Path], tmp_path: Path, url: str
) -> None:
    with page() as tool, served(tmp_path) as (elsewhere, _):
        tool.give(*pair)
        assert "2 pictures of 200 × 160, fused in" in tool.wait()
        agree(tool, network, pair)
        assert all(each.startswith((url, f"blob:{url}")) for each in tool.requests)
        ask = f"fetch('{elsewhere}frame-1.png').then(() => 'answered', () => 'refused')"
        assert tool.page.evaluate(ask) == "refused"
        assert {worker.evaluate(ask) for worker in tool.workers()} == {"refused"}
        assert not tool.errors


@pytest.mark.slow
def test_it_works_without_a_network_once_loaded_with_threads(
    browser: Browser, folder: Path, network: zoo.FusionModel, pair: list[Path]
) -> None:
    with served(folder) as (url, server), opened(browser, url) as tool:
        assert tool.page.evaluate("crossOriginIsolated")  # a plain server does not send the headers for it
        server.shutdown()
        server.server_close()
        tool.page.reload()
        tool.page.wait_for_selector("html[data-ready]", timeout=PATIENCE)
        assert "works offline" in tool.page.inner_text(".private")
        tool.give(*pair)
        tool.wait()
        agree(tool, network, pair)


ENGINES_KEPT = """async () => {
    const opened = await Promise.all((await caches.keys()).map((name) => caches.open(name)));
    const kept = await Promise.all(opened.map((cache) => cache.keys()));
    return kept.flat().filter(({ url }) => url.includes("/engine/")).length;
}"""


@pytest.mark.slow
def test_in_a_frame_too_what_computes_is_kept_before_the_page_says_so(
    browser: Browser, url: str, tmp_path: Path
) -> None:
    (tmp_path / "index.html").write_text(f'<iframe src="{url}"></iframe>', "utf-8")
    with served(tmp_path) as (around, _), opened(browser, around, until="iframe") as tool:
        _, frame = tool.page.frames
        frame.wait_for_selector("html[data-ready]", timeout=PATIENCE)
        assert frame.is_visible("#offline")
        assert frame.evaluate(ENGINES_KEPT) == 3  # the library, its script, its WebAssembly


@pytest.mark.slow
def test_without_a_service_worker_it_computes_in_one_thread_and_is_still_kept_from_other_servers(
    page: Opens, network: zoo.FusionModel, pair: list[Path], tmp_path: Path
) -> None:
    with page(service_workers="block") as tool, served(tmp_path) as (elsewhere, _):
        tool.give(*pair)
        assert "1 thread)" in tool.wait()
        agree(tool, network, pair)
        ask = f"fetch('{elsewhere}frame-1.png').then(() => 'answered', () => 'refused')"
        assert {worker.evaluate(ask) for worker in tool.workers()} == {"refused"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["focus-set-small", "focus-set"])
def test_stacks_become_what_python_makes_of_them(
    page: Opens, name: str, tmp_path: Path, demo_coco: Path
) -> None:
    sample = next(iter(mfsynth.synthesize(demo_coco, "demo", preset="realistic", frames=5)))
    paths = files(tmp_path, sample.frames)
    with page() as tool:
        tool.give(*paths)
        tool.wait()
        tool.set("Network", name)
        tool.wait()
        agree(tool, zoo.load(name), paths)


@pytest.mark.slow
def test_webgpu_decides_alike(page: Opens, network: zoo.FusionModel, pair: list[Path]) -> None:
    with page() as tool:
        tool.give(*pair)
        assert "CPU" in tool.wait()  # which is faster than a simulated graphics processor
        tool.set("Computed by", "webgpu")
        assert "graphics processor (WebGPU)" in tool.wait()
        agree(tool, network, pair)


@pytest.mark.slow
def test_lytro_01_is_fused_as_by_python(page: Opens, network: zoo.FusionModel, tmp_path: Path) -> None:
    if not LYTRO.is_dir():
        pytest.skip("the Lytro pictures are not beside this checkout")
    paths = [LYTRO / f"lytro-01-{letter}.jpg" for letter in "AB"]
    with page() as tool:
        tool.give(*paths)
        tool.wait()
        agree(tool, network, paths)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return large_pair(tmp_path_factory.mktemp("large"))


@pytest.mark.slow
def test_12_megapixels_are_fused_as_by_python(
    page: Opens, network: zoo.FusionModel, large: list[Path]
) -> None:
    with page() as tool:
        tool.give(*large)
        assert "4480 × 2880" in tool.wait()
        agree(tool, network, large)


@pytest.mark.slow
def test_a_cancel_is_heard_soon_and_fusing_can_be_begun_again(page: Opens, large: list[Path]) -> None:
    with page() as tool:
        tool.give(*large)
        tool.page.wait_for_selector("#cancel:visible", timeout=PATIENCE)
        begun = time.monotonic()
        tool.page.get_by_role("button", name="Cancel").click()
        tool.page.wait_for_selector("#fuse:visible", timeout=PATIENCE)
        assert time.monotonic() - begun < 20
        assert tool.page.inner_text("#said") == "Nothing is fused."
        assert not tool.page.is_visible("#save")
        tool.page.keyboard.press("Enter")  # the button to fuse has the focus that the other had
        tool.wait()


CLEAR_WHEN_ONE_IS_READ = """() => new MutationObserver((_, observer) => {
    if (!document.querySelector("#strip li")) return;
    observer.disconnect();
    document.getElementById("clear").click();
}).observe(document.getElementById("strip"), { childList: true })"""


@pytest.mark.slow
def test_to_start_over_ends_the_reading_of_pictures_too(
    page: Opens, pair: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "others").mkdir()
    others = files(tmp_path / "others", [frame[:240, :320] for frame in known_pair().frames * 3])
    with page() as tool:
        tool.page.evaluate(CLEAR_WHEN_ONE_IS_READ)
        tool.give(*others)
        tool.page.locator("#live", has_text="were removed").wait_for(state="attached")
        tool.give(*pair)
        assert "2 pictures of 200 × 160, fused in" in tool.wait()
        assert not tool.page.is_visible("#problems")
        assert not tool.errors


@pytest.mark.slow
def test_pictures_that_come_while_the_network_is_loaded_do_not_load_it_again(
    page: Opens, network: zoo.FusionModel, pair: list[Path]
) -> None:
    with page(until="[data-most]:not(:empty)", service_workers="block") as tool:
        tool.give(*pair)
        tool.wait()
        agree(tool, network, pair)
        assert sum(each.endswith(".onnx") for each in tool.requests) == 1


@pytest.mark.slow
def test_without_what_computes_every_picture_is_refused_at_once(
    browser: Browser, folder: Path, pair: list[Path], tmp_path: Path
) -> None:
    broken = shutil.copytree(folder, tmp_path / "page", ignore=shutil.ignore_patterns("worker.js", "engine"))
    with (
        served(broken) as (url, _),
        opened(browser, url, until="#problems:not([hidden])", service_workers="block") as tool,
    ):
        assert "The network could not be loaded: the part of this page that computes" in tool.problems()
        tool.give(*pair)
        assert "frame-1.png is left out: the part of this page that computes" in tool.problems()


@pytest.mark.slow
def test_what_cannot_be_used_is_named_with_the_reason(page: Opens, pair: list[Path], tmp_path: Path) -> None:
    small, see_through, tiny = (tmp_path / name for name in ("small.png", "see-through.png", "tiny.png"))
    Image.new("RGB", (200, 150)).save(small)
    Image.new("RGBA", (200, 160), (1, 2, 3, 100)).save(see_through)
    Image.new("RGB", (200, 12)).save(tiny)
    cases: list[tuple[Path | dict[str, Any], str]] = [
        (
            {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"},
            "notes.txt is left out: this browser cannot read it",
        ),
        (small, "small.png is left out: it is 200 × 150 pixels, and frame-1.png is 200 × 160."),
        (see_through, "see-through.png is left out: it is transparent in places."),
        (tiny, "tiny.png is left out: it is 200 × 12 pixels. Each side needs at least 16."),
    ]
    with page() as tool:
        tool.give(pair[0])
        tool.page.get_by_text("Add at least one more picture").wait_for()
        for given, text in cases:
            tool.give(given)
            assert text in tool.problems()
            tool.page.get_by_role("button", name="Dismiss").click()
        tool.give(pair[1])
        tool.wait()
        assert not tool.page.is_visible("#problems")
        assert not tool.errors


@pytest.mark.slow
def test_pictures_are_turned_as_their_exif_says(
    page: Opens, network: zoo.FusionModel, tmp_path: Path
) -> None:
    upright, turned = [], []
    for number, frame in enumerate(known_pair().frames):
        image, exif = Image.fromarray(frame[100:260, 200:400]), Image.Exif()
        exif[0x0112] = 6  # is to be turned by 90 degrees clockwise
        turned.append(tmp_path / f"turned-{number}.jpg")
        image.rotate(90, expand=True).save(turned[-1], quality=95, exif=exif)
        stored = rgb_without_exif(turned[-1])
        upright.append(tmp_path / f"upright-{number}.png")
        Image.fromarray(np.rot90(stored, -1)).save(upright[-1])
    with page() as tool:
        tool.give(*turned)
        assert "200 × 160" in tool.wait()
        agree(tool, network, upright)


def rgb_without_exif(path: Path) -> NDArray[np.uint8]:
    """A JPEG's pixels as they are stored."""
    return np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))


@pytest.mark.slow
def test_all_can_be_done_with_keys_only(page: Opens) -> None:
    def focused(tool: Tool) -> str:
        return str(
            tool.page.evaluate("""() => {
            const { activeElement: it } = document;
            return it.ariaLabel ?? it.labels?.[0]?.textContent ?? it.textContent.trim();
        }""")
        )

    def tab_to(tool: Tool, name: str) -> None:
        for _ in range(30):
            if focused(tool) == name:
                return
            tool.page.keyboard.press("Tab")
        raise AssertionError(f"{name} is not reached with the Tab key")

    with page() as tool:
        keys = tool.page.keyboard
        tab_to(tool, "Try with an example")
        keys.press("Enter")
        tool.wait()
        assert focused(tool) == "Picture"
        live = tool.page.locator("#live")
        assert live.inner_text().startswith("Done: 3 pictures of 640")
        canvas = tool.page.locator("#canvas")
        layers = {"m": "Decision map", "2": "Frame 2, table-2.jpg", " ": "Decision map", "f": "Fused picture"}
        for key, shown in layers.items():
            keys.press(key)
            assert canvas.get_attribute("aria-label") == shown
        before = tool.page.inner_text("#zoomed")
        keys.press("+")
        assert tool.page.inner_text("#zoomed") != before
        keys.press("0")
        assert tool.page.inner_text("#zoomed") == before
        tab_to(tool, "Fused")
        keys.press("ArrowRight")
        assert canvas.get_attribute("aria-label") == "Decision map"
        tab_to(tool, "Save picture")
        with tool.page.expect_download():
            keys.press("Enter")
        tab_to(tool, "Start over")
        keys.press("Enter")
        assert focused(tool) == "Try with an example"


@pytest.fixture(params=["light", "dark"])
def phone(request: pytest.FixtureRequest, page: Opens) -> Iterator[Tool]:
    size, scheme = {"width": 390, "height": 844}, request.param
    with page(viewport=size, has_touch=True, is_mobile=True, color_scheme=scheme) as tool:
        yield tool


@pytest.mark.slow
def test_a_phone_shows_all_of_it_without_scrolling_sideways(phone: Tool) -> None:
    phone.page.get_by_role("button", name="Try with an example").tap()
    phone.wait()
    wide = phone.page.evaluate("document.documentElement.scrollWidth")
    assert wide == 390
    for button in phone.page.get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24, button.inner_text()  # WCAG 2.2, target size
    phone.show("Decision map")
    assert phone.page.locator("#canvas").get_attribute("aria-label") == "Decision map"


def test_the_types_of_the_scripts_fit(folder: Path) -> None:
    modules = ROOT / "out" / "npm" / "node_modules"  # where the build installed them
    done = subprocess.run(
        ["node", modules / "typescript" / "bin" / "tsc", "-p", ROOT / "scripts" / "demo"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
