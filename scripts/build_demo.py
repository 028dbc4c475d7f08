"""Build the page that fuses pictures in a browser, docs/demo, with what it needs: npm's onnxruntime-web, two
networks, and an example.

    python scripts/build_demo.py out/site/demo    # `make site` does this, after mkdocs
    python scripts/build_demo.py out/space --space    # to be uploaded as a Hugging Face Space

Needs node and npm, which fetch what package-lock.json in scripts/demo pins. Prints how much a visitor loads.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click
import cv2

import mfsynth
from mfsynth.coco.demo import draw_demo
from mfsynth.preview.colors import color
from zoo.exporting.export import export
from zoo.fusing.frames import LARGEST
from zoo.fusing.rules import ODDS
from zoo.fusing.tiles import halo
from zoo.store.files import CONFIG, config_in
from zoo.store.find import find

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "demo"
PARTS = ROOT / "scripts" / "demo"
NPM = ROOT / "out" / "npm"
SERVICE_WORKER = "service-worker.js"
NETWORKS = {"focus-set-small": "focus-set-small: faster", "focus-set": "focus-set: twice as wide"}
"""What visitors can choose from, the default first, with what the page says of each."""

MOST = 3_000_000
"""The most bytes of a network."""

CORE = "ort-wasm-simd-threaded"
BUILDS = {"ort.wasm": CORE, "ort.jspi": f"{CORE}.jspi", "ort.webgpu": f"{CORE}.asyncify"}
"""Of onnxruntime-web: the libraries, and the WebAssembly that each loads. A visitor needs one of them."""

USED = {"ort.wasm": "the CPU", "ort.jspi": "WebGPU", "ort.webgpu": "WebGPU, in browsers without JSPI"}
"""When each library is used."""

SPACE = """---
title: Focus fusion
emoji: 🔍
colorFrom: blue
colorTo: yellow
sdk: static
app_file: index.html
pinned: false
license: apache-2.0
short_description: One sharp picture from several, in your browser
custom_headers:
  cross-origin-opener-policy: same-origin
  cross-origin-embedder-policy: require-corp
  cross-origin-resource-policy: cross-origin
---

Pictures that are focused at different distances become one that is sharp everywhere, by a network of
[mfsynth](https://github.com/mfsynth/mfsynth). Everything is computed in the browser; nothing is uploaded.
"""


@click.command(help=__doc__)
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--space", is_flag=True, help="Add the README.md of a static Hugging Face Space.")
@click.option("--optional", is_flag=True, help="Build nothing, and say so, where node or npm is missing.")
def main(out: Path, space: bool, optional: bool) -> None:
    """Build the page."""
    if missing := [each for each in ("node", "npm") if shutil.which(each) is None]:
        text = f"{' and '.join(missing)} not found: the page that fuses in a browser"
        if optional:
            print(f"{text} is left out")
            return
        sys.exit(f"{text} cannot be built. Install Node.js 20 or later")
    build(out)
    if space:
        (out / "README.md").write_text(SPACE, "utf-8")
    for line in sizes(out):
        print(line)


def build(out: Path) -> None:
    """Write the page and all it needs into a folder."""
    shutil.copytree(PAGE, out, dirs_exist_ok=True)
    modules = install(NPM)
    write_engine(modules / "onnxruntime-web", out / "engine")
    networks = [write_network(name, title, out) for name, title in NETWORKS.items()]
    built: dict[str, Any] = {
        "networks": networks,
        "odds": ODDS,
        "colors": [color(frame) for frame in range(LARGEST)],
        "example": write_example(out / "example"),
    }
    (out / "built.json").write_text(json.dumps(built), "utf-8")
    write_service_worker(out)


def install(folder: Path) -> Path:
    """Install what package-lock.json pins; returns the folder with the packages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PARTS / name, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    if subprocess.run(command, cwd=folder, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit("npm could not install what scripts/demo/package-lock.json pins: see above")
    return folder / "node_modules"


def write_engine(package: Path, out: Path) -> None:
    """Write onnxruntime-web's builds: scripts by names that every server knows, WebAssembly compressed."""
    out.mkdir(parents=True, exist_ok=True)
    for library, core in BUILDS.items():
        shutil.copy(package / "dist" / f"{library}.min.mjs", out / f"{library}.min.js")
        shutil.copy(package / "dist" / f"{core}.mjs", out / f"{core}.js")
        data = (package / "dist" / f"{core}.wasm").read_bytes()
        (out / f"{core}.wasm.gzip").write_bytes(gzip.compress(data, 9, mtime=0))


def write_network(name: str, title: str, out: Path) -> dict[str, Any]:
    """Export a network, and tell what the page must know of it."""
    with TemporaryDirectory() as folder:  # the description beside it is for programmers
        path = Path(folder, f"{name}.onnx")
        export(name, path, precision="fp16")
        if path.stat().st_size > MOST:
            sys.exit(f"{name} has {path.stat().st_size:,} bytes, and {MOST:,} are the most for this page")
        shutil.copy(path, out)
    found = find(name)
    config = config_in(found.folder, {CONFIG: (found.folder / CONFIG).read_bytes()})
    return {"name": name, "title": title, "file": path.name, "halo": halo(config), "stride": config.stride}


def write_example(out: Path) -> list[str]:
    """Draw three frames of the demo split's first scene; returns their paths on the page."""
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        draw_demo(Path(folder), images=1)
        (sample,) = islice(mfsynth.synthesize(folder, "demo", preset="realistic", frames=3), 1)
    for number, frame in enumerate(sample.frames, 1):
        cv2.imwrite(str(out / f"table-{number}.jpg"), frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    return [f"{out.name}/{path.name}" for path in sorted(out.iterdir())]


def write_service_worker(out: Path) -> None:
    """Tell the service worker what to keep, and the page's policy; a change of any file is a new version."""
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', (out / "index.html").read_text("utf-8"))
    assert policy is not None
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "README.md")
    version = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]
    names = [path.relative_to(out) for path in files if path.name not in (SERVICE_WORKER, "index.html")]
    kept = ["./", *(str(name) for name in names if name.parts[0] != "engine")]
    told = {"version": version, "files": kept, "policy": policy[1]}
    script = (PAGE / SERVICE_WORKER).read_text("utf-8")
    (out / SERVICE_WORKER).write_text(f"self.BUILT = {json.dumps(told)};\n{script}", "utf-8")


def sizes(out: Path) -> list[str]:
    """What a visitor loads, by what computes."""

    def total(paths: Iterable[Path]) -> float:
        return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6

    engine = out / "engine"
    page = total(path for path in out.rglob("*") if path.parent != engine and path.name != "README.md")
    lines = []
    for library, core in BUILDS.items():
        parts = total(engine / name for name in (f"{library}.min.js", f"{core}.js", f"{core}.wasm.gzip"))
        lines.append(f"{USED[library]}: {page + parts:.1f} MB, page {page:.1f}")
    return lines


if __name__ == "__main__":
    main()
