"""scripts/plan_scale.py: its arithmetic and its simulation give what formulas give."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    sys.path.insert(0, str(ROOT / "scripts"))
    import plan_scale

    return plan_scale


def test_jobs_without_failures_take_whole_rounds(script: ModuleType) -> None:
    plan = script.Plan(images=100, variants=1, shard_mb=1e-9, cores=30, failures=0, slow=0)
    rates = script.STORES["pairs"]
    assert plan.shards(rates) == 100
    assert script.simulate(plan, rates) == script.Run(pytest.approx(4 * plan.job(rates)), 0, 0)


def test_a_job_that_fails_runs_until_it_succeeds(script: ModuleType) -> None:
    """A job of d seconds under failures at rate r takes (exp(r d) - 1) / r seconds on average."""
    plan = replace(script.Plan(images=400, variants=10_000, shard_mb=1e5, cores=1, slow=0), failures=5.0)
    rates = script.STORES["pairs"]
    rate, job = plan.failures / 3600, plan.job(rates)
    expected = plan.shards(rates) * np.expm1(rate * job) / rate
    walls = [script.simulate(plan, rates, seed).wall for seed in range(40)]
    assert np.mean(walls) == pytest.approx(expected, rel=4 * np.std(walls) / expected / np.sqrt(40))
    assert rate * job > 0.4, "failures are common enough to tell"


def test_stragglers_only_make_a_build_longer(script: ModuleType) -> None:
    plan, rates = script.Plan(failures=0, slow=0), script.STORES["pairs"]
    usual = script.simulate(plan, rates).wall
    assert usual >= script.ideal_wall(plan, rates)
    assert script.simulate(replace(plan, slow=1), rates).wall == pytest.approx(plan.slowness * usual)


def test_shards_have_the_size_wanted_and_an_image_at_least(script: ModuleType) -> None:
    rates = script.STORES["recipe"]
    plan = script.Plan()
    size = plan.samples * rates.size / plan.shards(rates)
    assert size == pytest.approx(plan.shard_mb * 1e6, rel=0.01)
    assert replace(plan, shard_mb=1e-6).shards(rates) == plan.images


def test_the_page_has_the_tables_that_the_script_writes(script: ModuleType) -> None:
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    assert script.costs(script.Plan()) in page
    assert script.waits(script.Plan(), "pairs") in page
