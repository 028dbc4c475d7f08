"""Make docs/pictures/browser.png: the page of docs/demo with its example, fused in Chromium without a window.

python scripts/build_demo.py out/demo
python scripts/demo_picture.py out/demo
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from demo.browser import chromium, installed, opened, served  # noqa: E402

PICTURE = ROOT / "docs" / "pictures" / "browser.png"


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
def main(folder: Path) -> None:
    """Fuse the example, and save what the page shows."""
    path = installed()
    if path is None:
        sys.exit("no Chromium is installed (Debian: apt-get install chromium)")
    with served(folder) as (url, _), chromium(path) as browser, opened(browser, url) as tool:
        tool.page.click("#example")
        print(tool.wait())
        tool.page.wait_for_timeout(500)
        tool.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
