"""The schedule: what it promises of every rate."""

import math
from itertools import pairwise
from statistics import fmean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.load.arrivals import Phase, duration, phases, schedule

rates = st.floats(0, 20)
some_phases = st.lists(st.builds(Phase, rates, rates, st.floats(0.1, 10)), min_size=1, max_size=4)
whenever = settings(deadline=None)  # what is slow here is the machine


def expected_by(steps: list[Phase], time: float) -> float:
    """The integral of the rate, by the trapezoid of each phase."""
    total = 0.0
    for phase in steps:
        inside = min(max(time, 0.0), phase.seconds)
        total += inside * (phase.begin + (phase.end - phase.begin) * inside / phase.seconds / 2)
        time -= phase.seconds
    return total


@whenever
@given(steps=some_phases, seed=st.integers(0, 2**32))
def test_arrivals_are_in_order_and_within_the_load(steps: list[Phase], seed: int) -> None:
    for process in ("poisson", "constant"):
        times = schedule(steps, process, seed)  # type: ignore[arg-type]
        assert list(times) == sorted(times)
        assert all(0 <= time <= sum(phase.seconds for phase in steps) for time in times)


@whenever
@given(steps=some_phases)
def test_constant_arrivals_come_each_time_that_one_more_is_expected(steps: list[Phase]) -> None:
    times = schedule(steps, "constant", 0)
    assert len(times) == pytest.approx(sum(phase.expected for phase in steps), abs=1)
    for number, time in enumerate(times):
        assert expected_by(steps, time) == pytest.approx(number, abs=1e-6 * max(1, number))


@whenever
@given(steps=some_phases, seed=st.integers(0, 2**32))
def test_poisson_arrivals_are_as_many_as_the_rate_promises(steps: list[Phase], seed: int) -> None:
    promised = sum(phase.expected for phase in steps)
    assert abs(len(schedule(steps, "poisson", seed)) - promised) <= 8 * math.sqrt(promised) + 12


def test_poisson_gaps_are_exponential_and_constant_ones_are_equal() -> None:
    steady = [Phase(20, 20, 500)]
    gaps = [after - before for before, after in pairwise(schedule(steady, "poisson", 1))]
    assert fmean(gaps) == pytest.approx(0.05, rel=0.05)
    assert pstdev(gaps) == pytest.approx(0.05, rel=0.05)  # of an exponential distribution mean and deviation are one
    assert sum(gap > 0.1 for gap in gaps) / len(gaps) == pytest.approx(math.exp(-2), rel=0.15)
    assert {round(b - a, 9) for a, b in pairwise(schedule(steady, "constant", 1))} == {0.05}


def test_steps_and_ramps_have_their_rates_where_they_belong() -> None:
    times = schedule(phases("2:60s,10:2m,0:30s,2:60s", None), "constant", 0)
    assert [
        sum(begin <= time < end for time in times) for begin, end in ((0, 60), (60, 180), (180, 210), (210, 270))
    ] == [
        120,
        1200,
        0,
        120,
    ]
    ramp = schedule(phases("0-10:100s", None), "constant", 0)
    assert len(ramp) == 500
    assert ramp[125] == pytest.approx(50)  # a quarter of them in the first half
    down = schedule(phases("10-0:100s", None), "constant", 0)
    assert down[375] == pytest.approx(50)


def test_the_same_seed_gives_the_same_schedule_and_another_one_another() -> None:
    steady = phases("5:60s", None)
    assert schedule(steady, "poisson", 3) == schedule(steady, "poisson", 3) != schedule(steady, "poisson", 4)


def test_rates_and_durations_are_read_as_people_write_them() -> None:
    assert [duration(text) for text in ("90", "90s", "500ms", "2m", "1h", "1.5 s")] == [90, 90, 0.5, 120, 3600, 1.5]
    assert phases("5", None) == (Phase(5, 5, 60),)
    assert phases("5", 10) == phases("5:10s", None) == (Phase(5, 5, 10),)
    assert phases("0.5-2.5:1m, 3:10s", None) == (Phase(0.5, 2.5, 60), Phase(3, 3, 10))


@pytest.mark.parametrize(
    ("text", "seconds", "says"),
    [
        ("fast", None, "is no rate"),
        ("-1:5s", None, "is no rate"),
        ("2:soon", None, "is no duration"),
        ("2:0s", None, "is no duration"),
        ("2,3:5s", None, "says no duration"),
        ("2:5s", 10, "leave --duration out"),
        ("0:5s,0:9s", None, "never asks anything"),
    ],
)
def test_what_is_no_rate_is_refused_with_how_to_write_it(text: str, seconds: float | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        phases(text, seconds)
