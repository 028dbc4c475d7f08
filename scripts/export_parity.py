"""How alike exported networks decide: by network, format, precision, and what runs the file.

    python scripts/export_parity.py                            # every network that has a short name
    python scripts/export_parity.py --networks focus-set,hf-seg --precision int8
    python scripts/export_parity.py --docs                     # also into docs/results/, docs/benchmarks.md
    python scripts/export_parity.py --render                   # the table, from the CSV

Each file fuses the known pair and cuts of it with odd sides, and so does torch: the share of the pixels that
go to the same frame, and the largest difference between scores; between values in [0, 1] where a network
predicts the picture. With --docs, whatever was not compared keeps its rows.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args

import click
from reproduce_tables import chosen_networks, fill

from mfsynth.storage import write
from zoo.backends.graph_model import contents
from zoo.backends.graph_runner import GraphRunner
from zoo.exporting.parity import EQUAL, answers, compared
from zoo.exporting.written import READERS, session, written
from zoo.graphs.builder import Precision
from zoo.graphs.graph import graph_of
from zoo.store.find import find
from zoo.store.folder import load_folder
from zoo.store.registry import names

DOCS = Path(__file__).parents[1] / "docs"
CSV, PAGE = DOCS / "results" / "parity.csv", DOCS / "benchmarks.md"
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
COLUMNS = ("network", "format", "precision", "backend", "picture", "share", "difference")

Row = dict[str, str]


def compare(name: str, precisions: Sequence[Precision]) -> Iterator[Row]:
    """A row for each picture, and each way to write and run a network with these precisions."""
    found = find(name)
    config, weights = contents(found.folder, found.hashes)
    expected = answers(load_folder(found.folder, found.hashes))
    for form, runtimes in READERS.items():
        for precision in precisions:
            files = written(graph_of(config, weights, precision=precision), form, precision)
            for runtime in runtimes:
                opened = session(files, form, runtime)
                exported = answers(GraphRunner(config, runtime, "fp32", lambda opened=opened: opened))  # type: ignore[misc]
                for each in compared(expected, exported):
                    values = (each.picture, f"{each.share:.6f}", f"{each.difference:.3g}")
                    yield dict(zip(COLUMNS, (name, form, precision, runtime, *values), strict=True))


def merged(kept: list[Row], rows: list[Row]) -> list[Row]:
    """Rows that were kept, replaced by new ones of the same kind, in order."""

    def place(row: Row) -> tuple[str, int, int]:
        forms, precisions = [str(each) for each in READERS], [str(each) for each in PRECISIONS]
        return row["network"], forms.index(row["format"]), precisions.index(row["precision"])

    newest = {tuple(row[name] for name in COLUMNS[:5]): row for row in (*kept, *rows)}
    return sorted(newest.values(), key=place)


def csv_of(rows: list[Row]) -> str:
    """Rows as a file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def recorded() -> list[Row]:
    """The rows of the CSV."""
    return list(csv.DictReader(io.StringIO(CSV.read_text("utf-8"))))


def markdown_of(rows: list[Row]) -> str:
    """Rows as a table: pictures beside each other, and the largest difference in any of them."""
    pictures = list(dict.fromkeys(row["picture"] for row in rows))
    heads = ["network", "format", "precision", "backend", *pictures, "largest difference"]
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for which in dict.fromkeys(tuple(row[name] for name in COLUMNS[:4]) for row in rows):
        own = {row["picture"]: row for row in rows if tuple(row[name] for name in COLUMNS[:4]) == which}
        shares = [_percent(float(own[picture]["share"])) for picture in pictures]
        most = max(float(row["difference"]) for row in own.values())
        lines.append(f"| {' | '.join([*which, *shares, f'{most:.2g}'])} |")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    """A share in percent; what `mfsynth zoo export` refuses is bold."""
    text = "100%" if share == 1 else f"{share * 100:.4f}%"
    return text if share >= EQUAL else f"**{text}**"


@click.command()
@click.option("--networks", default="", metavar="NAME,…", help="Only these.  [default: all short names]")
@click.option("--precision", "precisions", type=click.Choice(PRECISIONS), multiple=True,
              help="Only this one; repeatable.")  # fmt: skip
@click.option("--docs", is_flag=True, help=f"Also write {CSV.name} and the table in {PAGE.name}.")
@click.option("--render", is_flag=True, help=f"Compare nothing: only render the table from {CSV.name}.")
def main(networks: str, precisions: tuple[Precision, ...], docs: bool, render: bool) -> None:
    """Compare exported networks with torch's."""
    if not render:
        rows = []
        for name in sorted(chosen_networks(networks)) or names():
            for row in compare(name, precisions or PRECISIONS):
                rows.append(row)
                click.echo(" ".join(row.values()))
        click.echo(f"\n{markdown_of(rows)}")
        if docs:
            write(CSV, csv_of(merged(recorded(), rows)).encode())
    if docs or render:
        fill({"backends/parity.md": markdown_of(recorded())}, PAGE)


if __name__ == "__main__":
    main()
