"""The sets of values in the chart's ci/, and what helm renders from each."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.operators import CHART, component, rendered

SETS = sorted((CHART / "ci").glob("*-values.yaml"))
Manifest = dict[str, Any]

every_set = pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)


@cache
def objects(values: Path) -> list[Manifest]:
    return rendered("forge-system", file=values)


def of_kind(kind: str, values: Path) -> list[Manifest]:
    return [thing for thing in objects(values) if thing["kind"] == kind]


def of_operator(kind: str, values: Path) -> list[Manifest]:
    """Without what belongs to the other programs."""
    return [thing for thing in of_kind(kind, values) if component(thing) == "operator"]


def values_set(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"
