"""Loads against a server, in the test's own loop."""

import asyncio
from typing import Any

from forge_inference.load.arrivals import Phase
from forge_inference.load.client import Target
from forge_inference.load.dialects import DIALECTS, Wish
from forge_inference.load.figures import Figures, Slo, figures
from forge_inference.load.generator import Demand, measure, warm_up
from forge_inference.load.records import Record, Run
from tests.inference.load.server import Script, serving


async def a_load(url: str, demand: Demand, *, api: str = "completions", wish: Wish | None = None, **more: Any) -> Run:
    """A target's `timeout` and `retries` may be in `more`."""
    dialect = DIALECTS[api]
    target = Target(url + dialect.path, dialect, wish or Wish(), **{"timeout": 30.0, **more})
    await warm_up(target, demand)
    return await measure(target, demand, asyncio.Event(), lambda run: None)


async def one(script: Script, **more: Any) -> Record:
    """What became of a single request."""
    async with serving(script) as server:
        run = await a_load(server.url, steady(1, 0.5), **more)
    (record,) = run.records
    return record


def steady(rate: float, seconds: float, **more: Any) -> Demand:
    """Constant arrivals, without warm-up."""
    return Demand(**{"phases": (Phase(rate, rate, seconds),), "process": "constant", "warmup": 0, **more})


def told(run: Run, slo: Slo | None = None) -> Figures:
    """Figures that do not mind how busy the machine is on which tests run."""
    return figures(run, slo or Slo(), 60.0)
