"""Figures against numbers that were computed by hand, and against what holds of all of them."""

import math
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.load.figures import Slo, figures
from forge_inference.load.records import OURS, TIMEOUT, Failure, Record, Run
from forge_inference.load.spread import percentile, spread


def a_record(number: int, due: float, *pieces: float, ended: float | None = None, **more: object) -> Record:
    """Sent when it was due; it ends with its last piece unless told otherwise."""
    end = ended if ended is not None else pieces[-1] if pieces else None
    record = Record(number, due, sent=due, pieces=array("d", pieces), ended=end, tokens=len(pieces))
    for name, value in more.items():
        setattr(record, name, value)
    return record


def a_run(*records: Record, lasted: float, seconds: float | None = None) -> Run:
    run = Run(array("d", [each.due for each in records]), seconds or lasted, records=list(records))
    run.lasted = lasted
    return run


def test_percentiles_are_by_nearest_rank() -> None:
    ordered = [15.0, 20.0, 35.0, 40.0, 50.0]
    assert [percentile(ordered, share) for share in (5, 30, 40, 50, 95, 100)] == [15, 20, 20, 35, 50, 50]
    assert percentile(list(range(1, 101)), 99) == 99
    assert percentile([], 50) is None
    assert spread([3.0, 1.0, 2.0]).p50 == spread([3.0, 1.0, 2.0]).mean == 2.0


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 100))
def test_so_many_of_a_hundred_are_at_most_the_percentile_and_no_lesser_value_has_as_many(
    values: list[float], share: float
) -> None:
    found, wanted = percentile(sorted(values), share), math.ceil(len(values) * share / 100)
    assert found in values
    assert sum(value <= found for value in values) >= wanted > sum(value < found for value in values)


def test_times_count_from_when_a_request_was_due_and_not_from_when_it_was_sent() -> None:
    late = a_record(0, 1.0, 3.5, 4.0, 5.0, sent=3.0)
    found = figures(a_run(late, lasted=5.0), Slo(), 0.05)
    assert (found.ttft.p50, found.e2e.p50, found.inter_token.max, found.per_token.p50) == (2.5, 4.0, 1.0, 0.75)
    assert found.generator.late.max == 2.0
    assert "could not" not in found.generator.doubts[0]
    assert "2000 ms" in found.generator.doubts[0]


def test_requests_are_counted_once_by_what_became_of_them() -> None:
    run = a_run(
        a_record(0, 0.0, 0.5, 1.0),
        a_record(1, 0.1, ended=0.2, failure=Failure("429", "busy"), waits=2),
        a_record(2, 0.2, ended=0.3, failure=Failure("503", "loading")),
        a_record(3, 0.3, 0.4, ended=3.0, failure=Failure(TIMEOUT, "no whole answer within 3 s")),
        a_record(4, 0.4, ended=0.9),  # whole, without text
        a_record(5, 0.5),  # under way
        lasted=3.0,
    )
    run.arrivals = array("d", [*run.arrivals, 2.9, 8.0])  # one due and never sent, one not yet due
    found = figures(run, Slo(e2e=1.0), 0.05)
    counts = found.requests
    assert (counts.offered, counts.started, counts.succeeded, counts.empty) == (7, 6, 2, 1)
    assert (counts.refused_429, counts.refused_503, counts.failed, counts.unfinished) == (1, 1, 1, 2)
    assert (counts.waits, counts.error_rate) == (2, 1 - 2 / 5)
    assert [(each.kind, each.count, each.example) for each in found.errors][2] == (
        TIMEOUT,
        1,
        "no whole answer within 3 s",
    )
    assert found.e2e.count == 2
    assert found.refusals.max == pytest.approx(0.1)
    assert found.goodput is not None
    assert (found.goodput.good, found.goodput.share, found.goodput.per_second) == (2, 2 / 5, pytest.approx(2 / 3))


def test_goodput_asks_for_all_objectives_at_once() -> None:
    quick, late_to_begin, slow = (
        a_record(0, 0, 0.1, 0.2, 0.3),
        a_record(1, 0, 0.6, 0.7, 0.8),
        a_record(2, 0, 0.1, 0.6, 1.1),
    )
    run = a_run(quick, late_to_begin, slow, lasted=2.0)

    def good(slo: Slo) -> int:
        found = figures(run, slo, 0.05).goodput
        assert found is not None
        return found.good

    assert [good(Slo(ttft=0.5)), good(Slo(e2e=1.0)), good(Slo(itl=0.2)), good(Slo(0.5, 1.0, 0.2))] == [2, 2, 2, 1]
    assert figures(run, Slo(), 0.05).goodput is None


def test_each_second_has_what_happened_in_it_and_the_latency_of_what_was_due_in_it() -> None:
    run = a_run(
        a_record(0, 0.1, 0.3, 1.4, 2.6),
        a_record(1, 0.9, ended=1.0, failure=Failure("429", "busy")),
        a_record(2, 1.5, 1.6, 1.7, tokens=6),  # three tokens in each event
        lasted=2.6,
        seconds=2.0,
    )
    run.beats = [(0.5, 0.001), (1.2, 0.3)]
    found = figures(run, Slo(), 1.0)
    row = found.seconds_in_a_row
    assert [(s.offered, s.succeeded, s.refused, s.failed, s.in_flight) for s in row] == [
        (2, 0, 0, 0, 2),
        (1, 1, 1, 0, 1),
        (0, 1, 0, 0, 0),
    ]
    assert [s.tokens for s in row] == [1, 1 + 6, 1]
    assert row[0].ttft_p95 == pytest.approx(0.2)
    assert row[0].e2e_p95 == pytest.approx(2.5)
    assert row[1].late == pytest.approx(0.3)
    assert row[2].ttft_p50 is None
    assert found.tokens_per_second == pytest.approx(8 / 2)  # while load was offered; the rest came after it
    assert found.tokens == 9


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0, 5), st.sampled_from(["whole", "429", "500", "open"])), max_size=40)
)
def test_the_seconds_add_up_to_the_whole(happened: list[tuple[float, float, str]]) -> None:
    records = []
    for number, (due, took, what) in enumerate(happened):
        record = a_record(number, due, *([due + took] if what == "whole" else []))
        if what in ("429", "500"):
            record.ended, record.failure = due + took, Failure(what, "")
        records.append(record)
    found = figures(a_run(*records, lasted=15.0), Slo(), 1.0)
    row, counts = found.seconds_in_a_row, found.requests
    assert sum(s.offered for s in row) == counts.offered == counts.ended + counts.unfinished
    assert sum(s.succeeded for s in row) == counts.succeeded
    assert sum(s.refused + s.failed for s in row) == counts.refused_429 + counts.failed
    assert sum(s.tokens for s in row) == found.tokens
    assert all(s.in_flight >= 0 for s in row)
    assert row[-1].in_flight == counts.unfinished


def test_a_generator_that_lacked_time_or_sockets_is_not_believed() -> None:
    run = a_run(a_record(0, 0, 0.5), a_record(1, 0, ended=0.1, failure=Failure(OURS, "too many")), lasted=1.0)
    run.processor = 0.97
    doubts = " ".join(figures(run, Slo(), 0.05).generator.doubts)
    assert "0.97 of one core" in doubts
    assert "1 requests were never sent" in doubts
    assert figures(a_run(a_record(0, 0, 0.5), lasted=1.0), Slo(), 0.05).generator.doubts == ()
