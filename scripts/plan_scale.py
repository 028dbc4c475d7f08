"""What a large data set costs: core hours, storage, shards, requests, and how long its jobs take.

    python scripts/plan_scale.py                                    # train2017 with ten variants
    python scripts/plan_scale.py --images 1000000 --variants 1000   # a billion samples
    python scripts/plan_scale.py --cores 512 --shard-mb 300 --failures 0.01
    python scripts/plan_scale.py --docs                             # the tables of docs/scale.md

Rates are what scripts/bench_build.py measured on one core (docs/benchmarks.md, "Building and reading"). The
rest is arithmetic with the options, and a simulation of shard jobs on cores of which some are slow and fail.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import click
import numpy as np

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
LISTED = 1000
"""Objects in a page of a listing, of S3 and Google Cloud Storage alike."""
SIDE_FILE = 400
"""Bytes of a shard's side file and of its entry in the manifest, about."""
PUTS = 4
"""Requests, one after the other, that store a shard: its bytes and a look at what arrived; its side file and
a look at that."""
IN_PARTS = 100 << 20, 2
"""From how many bytes on s3fs sends a file in parts, at once, and how many requests start and end that."""
SHARDS_MB = (30, 100, 300, 1000, 3000, 10_000)
"""Sizes of shards that are compared, in MB."""
BILLION = 1_000_000, 1000
TRAIN2017 = 118_287


@dataclass(frozen=True, slots=True)
class Rates:
    """What one store takes.

    Attributes:
        image: Milliseconds of a core to decode an image, once for all of its samples.
        sample: Milliseconds of a core to make a sample, without that.
        size: Its bytes in a shard.
        read: Milliseconds of a core to read one and render its frames; None if nobody measured it.
    """

    image: float
    sample: float
    size: float
    read: float | None = None


STORES = {"pairs": Rates(4.99, 11.28, 1.01e6), "recipe": Rates(4.99, 0.47, 0.176e6, 6.44)}
"""Measured: docs/benchmarks.md. What a sample takes there has a twentieth of an image in it; sizes are MB per
second over samples per second of the same table."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A data set, and the machines that make and read it.

    Attributes:
        images, variants: Their product is the number of samples.
        shard_mb: Size of a shard in MB, about: images of a shard stay together.
        cores: That build.
        failures: Of a core, in an hour: nodes lost, jobs killed.
        slow, slowness: Share of jobs that are stragglers, and how many times as long they take.
        bucket: What the store takes or delivers in all, in GB/s.
        latency: Of a request, in seconds.
        consumption: Samples that a rank trains on in a second.
    """

    images: int = TRAIN2017
    variants: int = 10
    shard_mb: float = 300
    cores: int = 64
    failures: float = 0.01
    slow: float = 0.02
    slowness: float = 4.0
    bucket: float = 10.0
    latency: float = 0.05
    consumption: float = 200.0

    @property
    def samples(self) -> int:
        """Number of samples."""
        return self.images * self.variants

    def shards(self, rates: Rates) -> int:
        """Number of shards of about the size wanted; none holds less than one image."""
        return min(self.images, max(1, round(self.samples * rates.size / (self.shard_mb * 1e6))))

    def work(self, rates: Rates) -> float:
        """Seconds of a core that making all samples takes."""
        return (self.images * rates.image + self.samples * rates.sample) / 1e3

    def job(self, rates: Rates) -> float:
        """Seconds that a core takes for one shard: making it, and storing it and its side file."""
        made = self.work(rates) / self.shards(rates)
        size = self.samples * rates.size / self.shards(rates)
        requests = PUTS + (IN_PARTS[1] if size >= IN_PARTS[0] else 0)
        return made + size * self.cores / (self.bucket * 1e9) + requests * self.latency


# --- arithmetic


def figures(plan: Plan, rates: Rates) -> dict[str, str]:
    """What the plan costs in one store, ready to be printed."""
    shards, size = plan.shards(rates), plan.samples * rates.size
    hours = plan.work(rates) / 3600
    objects = 2 * shards + 2
    pages = ceil(objects / LISTED)
    wanted = plan.consumption * rates.size
    written = min(plan.bucket * 1e9, plan.cores * size / plan.work(rates))
    return {
        "samples": f"{plan.samples:,}",
        "core hours to build": f"{hours:,.3g}" if hours < 100 else f"{hours:,.0f}",
        "storage": size_of(size),
        "egress of an epoch": size_of(size),
        "shards": f"{shards:,}",
        "size of a shard": size_of(size / shards),
        "a shard's job, storing included": duration(plan.job(rates)),
        "all cores write": f"{size_of(written)}/s",
        "objects": f"{objects:,}",
        "manifest": size_of(shards * SIDE_FILE),
        "requests to list": f"{pages:,}",
        "resume: listing, side files": duration(
            pages * plan.latency + ceil(shards / plan.cores) * plan.latency
        ),
        "resume: work lost at a kill, at most": f"{plan.cores * plan.job(rates) / 3600:,.3g} core hours",
        "time to the first sample": f"{first_sample(plan, rates):.2f} s",
        "a rank reads": f"{size_of(wanted)}/s",
        "cores that read for a rank": f"{plan.consumption * rates.read / 1e3:.1f}" if rates.read else "",
        "ranks that the bucket feeds": f"{int(plan.bucket * 1e9 / wanted):,}",
    }


def first_sample(plan: Plan, rates: Rates) -> float:
    """Seconds from `open` to a sample: manifest and shard are requested one after the other."""
    transferred = (plan.shards(rates) * SIDE_FILE + rates.size) / 1e8
    return 2 * plan.latency + transferred + (rates.read or 0) / 1e3


def size_of(count: float) -> str:
    """Bytes with a prefix.

    >>> size_of(1.2e12), size_of(999.6e6), size_of(176e3), size_of(12)
    ('1.2 TB', '1 GB', '176 kB', '12 B')
    """
    for power, name in ((15, "PB"), (12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if count >= 0.9995 * 10**power:  # 999.6 MB would become 1e+03 MB
            return f"{count / 10**power:,.3g} {name}"
    return f"{count:.3g} B"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours.

    >>> duration(4.2), duration(600), duration(9000)
    ('4.2 s', '10 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"


# --- simulation


@dataclass(frozen=True, slots=True)
class Run:
    """How a simulated build went.

    Attributes:
        wall: Seconds until the last shard was done.
        lost: Core seconds of jobs that failed.
        retries: Number of jobs that ran again.
    """

    wall: float
    lost: float
    retries: int


def simulate(plan: Plan, rates: Rates, seed: int = 0) -> Run:
    """Shard jobs, each by the first core that is free; one that fails is put at the end of the queue.

    A straggler is a job that meets a busy node: it runs `slowness` times as long, and if it runs again, it is
    drawn anew. Failures come at random times, so that long jobs meet more of them.
    """
    random = np.random.default_rng(seed)
    waiting, base = plan.shards(rates), plan.job(rates)
    free = [0.0] * plan.cores
    wall = lost = 0.0
    retries = 0
    while waiting:
        waiting -= 1
        start = heapq.heappop(free)
        takes = base * (plan.slowness if random.random() < plan.slow else 1)
        fails = random.exponential(3600 / plan.failures) if plan.failures else np.inf
        if fails < takes:
            waiting, lost, retries = waiting + 1, lost + fails, retries + 1
        else:
            wall = max(wall, start + takes)
        heapq.heappush(free, start + min(fails, takes))
    return Run(wall, lost, retries)


def ideal_wall(plan: Plan, rates: Rates) -> float:
    """Seconds in which all cores make and store everything without a pause."""
    stored = plan.samples * rates.size / (plan.bucket * 1e9)
    return plan.work(rates) / plan.cores + stored


def simulated(plan: Plan, rates: Rates, sizes: Sequence[float]) -> list[list[str]]:
    """Rows by the size of shards: means over simulations. Shards that hold one image get no smaller."""
    rows: list[list[str]] = []
    ideal = ideal_wall(plan, rates)
    for size in sizes:
        sized = replace(plan, shard_mb=size)
        count = f"{sized.shards(rates):,}"
        if rows and rows[-1][1] == count:
            continue
        runs = [simulate(sized, rates, seed) for seed in range(3)]
        wall, lost, again = (np.mean([getattr(run, each) for run in runs]) for each in Run.__slots__)
        rows.append(
            [
                size_of(plan.samples * rates.size / sized.shards(rates)),
                count,
                duration(sized.job(rates)),
                f"{again:,.0f}",
                f"{lost / (ideal * plan.cores):.1%}",
                duration(wall),
                f"{wall / ideal:.2f}",
            ]
        )
    return rows


HEADS = ["shards of", "shards", "a job", "jobs again", "work lost", "wall time", "of the ideal"]


# --- tables


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table, all columns but the first to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(each)} |" for each in lines)


def costs(plan: Plan) -> str:
    """Both stores side by side."""
    columns = [figures(plan, rates) for rates in STORES.values()]
    rows = [[name, *(column[name] for column in columns)] for name in columns[0]]
    return markdown(["", *STORES], rows)


def waits(plan: Plan, store: str) -> str:
    """What the size of shards does to the wall time of a build."""
    return markdown(HEADS, simulated(plan, STORES[store], SHARDS_MB))


def fill(mark: str, table: str) -> None:
    """Put a table between its marks in the page."""
    text = PAGE.read_text("utf-8")
    between = re.compile(rf"(<!-- {re.escape(mark)} -->\n).*?(<!-- end -->)", re.DOTALL)
    text, count = between.subn(lambda found: f"{found[1]}\n{table}\n\n{found[2]}", text)
    if not count:
        raise SystemExit(f"{PAGE} has no mark <!-- {mark} -->")
    PAGE.write_text(text, "utf-8")


def write_docs() -> None:
    """The tables of docs/scale.md: train2017 with ten variants, and a billion samples on more cores."""
    small = Plan()
    large = Plan(*BILLION, shard_mb=1000, cores=4096)
    fill("scale/train2017", costs(small))
    fill("scale/billion", costs(large))
    fill("scale/train2017-jobs", waits(small, "pairs"))
    fill("scale/billion-jobs", waits(large, "recipe"))


COUNT, POSITIVE = click.IntRange(min=1), click.FloatRange(min=0, min_open=True)


def option(name: str, kind: click.ParamType, about: str) -> object:
    """An option of the command line for a field of `Plan`, with its default."""
    default = Plan.__dataclass_fields__[name].default
    return click.option(
        f"--{name.replace('_', '-')}", type=kind, default=default, show_default=True, help=about
    )


@click.command()
@option("images", COUNT, "Images of the split.")
@option("variants", COUNT, "Samples of each image.")
@option("shard_mb", POSITIVE, "Size of a shard in MB.")
@option("cores", COUNT, "Cores that build.")
@option("failures", click.FloatRange(min=0), "Failures of a core in an hour.")
@option("slow", click.FloatRange(0, 1), "Share of jobs that are stragglers.")
@option("slowness", click.FloatRange(min=1), "How many times as long a straggler takes.")
@option("bucket", POSITIVE, "What the object store takes or delivers, in GB/s.")
@option("latency", click.FloatRange(min=0), "Of a request, in seconds.")
@option("consumption", POSITIVE, "Samples that a rank trains on in a second.")
@click.option("--docs", is_flag=True, help="Fill the tables of docs/scale.md, for the page's two cases.")
def main(docs: bool, **fields: float) -> None:
    """Print what a plan costs in both stores, and what the size of shards does to a build."""
    if docs:
        write_docs()
        return
    plan = Plan(**fields)  # type: ignore[arg-type]
    click.echo(f"{costs(plan)}\n")
    for store in STORES:
        click.echo(f"Building {store} on {plan.cores:,} cores:\n\n{waits(plan, store)}\n")


if __name__ == "__main__":
    main()
