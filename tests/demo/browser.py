"""The page in a browser, and what a user does there."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Browser, Page, Worker, sync_playwright

from mfsynth.preview.colors import color
from zoo.publishing.example import known_pair

PATIENCE = 300_000  # milliseconds


class Quiet(SimpleHTTPRequestHandler):
    """A plain file server, which any other page may read, too."""

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, ThreadingHTTPServer]]:
    """A folder on a plain file server on the loopback interface: its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Tool:
    """A page that was opened."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def give(self, *files: Path | dict[str, Any]) -> None:
        """Choose files."""
        self.page.set_input_files("#files", list(files))  # type: ignore[arg-type]

    def wait(self) -> str:
        """Until all is fused; returns what is said then."""
        self.page.wait_for_selector("#save:visible", timeout=PATIENCE)
        return self.page.inner_text("#said").replace("\xa0", " ")

    def workers(self) -> list[Worker]:
        """The page's own; the engine's threads, which sleep until there is work, would never answer."""
        return [worker for worker in self.page.workers if "/engine/" not in worker.url]

    def set(self, label: str, value: str) -> None:
        """Choose a setting; there must be pictures."""
        self.page.get_by_text("Settings").click()
        self.page.get_by_label(label).select_option(value)
        self.page.get_by_text("Settings").click()

    def show(self, layer: str) -> None:
        """Choose what is shown, by its name."""
        self.page.locator("#strip label", has_text=layer).click()

    def problems(self) -> str:
        """What is complained about."""
        self.page.wait_for_selector("#problems:visible", timeout=PATIENCE)
        return self.page.inner_text("#problems li")

    def saved(self, button: str = "Save picture") -> NDArray[np.uint8]:
        """The file that a button saves, H x W x 3, RGB."""
        with self.page.expect_download(timeout=PATIENCE) as download:
            self.page.get_by_role("button", name=button).click()
        return rgb(Path(download.value.path()))

    def decision(self) -> NDArray[np.uint8]:
        """The saved decision map, H x W, as numbers of frames."""
        picture = self.saved("Save map").astype(np.int64) @ [65536, 256, 1]
        decision = np.full(picture.shape, 255, np.uint8)
        for number in range(30):
            red, green, blue = color(number)
            decision[picture == (red << 16) + (green << 8) + blue] = number
        return decision


@contextmanager
def opened(browser: Browser, url: str, until: str = "html[data-ready]", **context: Any) -> Iterator[Tool]:
    """The page, ready, in a profile of its own."""
    profile = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, **context})
    tool = Tool(profile.new_page())
    profile.on("request", lambda request: tool.requests.append(request.url))
    tool.page.on("pageerror", lambda error: tool.errors.append(str(error)))
    tool.page.goto(url)
    tool.page.wait_for_selector(until, timeout=PATIENCE)
    try:
        yield tool
    finally:
        profile.close()


def rgb(path: Path) -> NDArray[np.uint8]:
    """A picture file, H x W x 3."""
    return np.ascontiguousarray(np.asarray(cv2.imread(str(path)), np.uint8)[..., ::-1])


def files(folder: Path, frames: Sequence[NDArray[np.uint8]]) -> list[Path]:
    """Frames as PNG files."""
    paths = [folder / f"frame-{number}.png" for number in range(1, len(frames) + 1)]
    for path, frame in zip(paths, frames, strict=True):
        cv2.imwrite(str(path), frame[..., ::-1])
    return paths


def large_pair(folder: Path) -> list[Path]:
    """The known pair, 42 times side by side: 12.9 megapixels, 4480 x 2880, as PNG files."""
    return files(folder, [np.tile(frame, (6, 7, 1)) for frame in known_pair().frames])


@contextmanager
def chromium(path: str, *flags: str) -> Iterator[Browser]:
    """Chromium without a window; root has no sandbox."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", *flags])
        yield browser
        browser.close()


def installed() -> str | None:
    """Where Chromium is."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
