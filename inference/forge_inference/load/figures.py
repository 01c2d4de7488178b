"""What the records say: counts, percentiles, goodput, seconds in a row, and whether the generator can be believed.

Latencies are seconds from when a request was due, never from when it was sent: what a slow server, or a slow generator,
kept waiting is part of them. They are those of whole answers; what had none is in the counts and in the goodput.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from forge_inference.load.records import OURS, Record, Run
from forge_inference.load.series import Second, series, tokens_until
from forge_inference.load.spread import Spread, spread

_BUSY = 0.9  # of a core: a program of one thread that is busier has requests waiting for itself


@dataclass(frozen=True)
class Slo:
    """What a good answer is, in seconds; None: no matter. `share` of all offered requests must be answered so."""

    ttft: float | None = None
    e2e: float | None = None
    itl: float | None = None
    share: float = 0.95

    def __bool__(self) -> bool:
        return (self.ttft, self.e2e, self.itl) != (None, None, None)

    def met_by(self, record: Record) -> bool:
        """An answer without text is as fast as its end; one without two tokens has no time between them."""
        if not record.whole:
            return False
        first = record.first if record.first is not None else record.whole_in
        pairs = ((first, self.ttft), (record.whole_in, self.e2e), (record.per_token, self.itl))
        return all(limit is None or found is None or found <= limit for found, limit in pairs)


@dataclass(frozen=True)
class Counts:
    """Requests. `unfinished` were due when the load was interrupted; `waits`: refusals that were heeded."""

    offered: int
    started: int
    succeeded: int
    refused_429: int
    refused_503: int
    failed: int
    unfinished: int
    empty: int  # whole answers without text
    waits: int

    @property
    def ended(self) -> int:
        """Offered requests but those that the interruption cut off."""
        return self.offered - self.unfinished

    @property
    def error_rate(self) -> float:
        """The part of them without a whole answer, for whatever reason."""
        return 1 - self.succeeded / self.ended if self.ended else 0.0


@dataclass(frozen=True)
class Goodput:
    """Whole answers within the objective: of all offered, and a second of the time in which load was offered."""

    good: int
    share: float
    per_second: float


@dataclass(frozen=True)
class Punctuality:
    """How late this program did what it had to; `cores` that it kept busy; `doubts`: why not to believe the figures."""

    late: Spread
    cores: float
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class Complaint:
    """Failures of one kind, and what the first of them said."""

    kind: str
    count: int
    example: str


@dataclass(frozen=True)
class Figures:
    """All of it. `seconds` in which load was offered; `lasted` to the end of the last answer."""

    began_at: str
    seconds: float
    lasted: float
    interrupted: bool
    requests: Counts
    ttft: Spread
    inter_token: Spread
    per_token: Spread
    e2e: Spread
    refusals: Spread
    prompt_tokens: int
    tokens: int
    tokens_per_second: float
    goodput: Goodput | None
    generator: Punctuality
    errors: tuple[Complaint, ...]
    seconds_in_a_row: tuple[Second, ...]


def figures(run: Run, slo: Slo, max_late: float) -> Figures:
    """Of a run that goes on or has ended; `max_late` is how many seconds the 99th percentile of lateness may be."""
    records = run.records
    whole = [each for each in records if each.whole]
    seconds = run.offered_for
    good = sum(map(slo.met_by, whole))
    counts = _counts(run, whole)
    return Figures(
        began_at=run.began_at,
        seconds=seconds,
        lasted=run.lasted,
        interrupted=run.interrupted,
        requests=counts,
        ttft=spread([each.first for each in whole if each.first is not None]),
        inter_token=spread([after - before for each in whole for before, after in pairwise(each.pieces)]),
        per_token=spread([time for each in whole if (time := each.per_token) is not None]),
        e2e=spread([each.whole_in for each in whole]),
        refusals=spread([each.ended - each.due for each in records if each.refused and each.ended is not None]),
        prompt_tokens=sum(each.prompt_tokens or 0 for each in whole),
        tokens=sum(each.tokens for each in whole),
        tokens_per_second=tokens_until(records, seconds) / seconds,
        goodput=Goodput(good, good / counts.ended if counts.ended else 0.0, good / seconds) if slo else None,
        generator=_punctuality(run, max_late),
        errors=_complaints(records),
        seconds_in_a_row=series(run),
    )


def _counts(run: Run, whole: Sequence[Record]) -> Counts:
    kinds = Counter(each.failure.kind for each in run.records if each.failure)
    offered = run.offered
    failed = sum(each.failed for each in run.records)
    return Counts(
        offered=offered,
        started=sum(each.sent is not None for each in run.records),
        succeeded=len(whole),
        refused_429=kinds["429"],
        refused_503=kinds["503"],
        failed=failed,
        unfinished=offered - len(whole) - sum(kinds.values()),
        empty=sum(not each.pieces for each in whole),
        waits=sum(each.waits for each in run.records),
    )


def _complaints(records: Sequence[Record]) -> tuple[Complaint, ...]:
    first: dict[str, str] = {}
    for each in records:
        if each.failure:
            first.setdefault(each.failure.kind, each.failure.message)
    kinds = Counter(each.failure.kind for each in records if each.failure)
    return tuple(Complaint(kind, count, first[kind]) for kind, count in kinds.most_common())


def _punctuality(run: Run, max_late: float) -> Punctuality:
    late, cores = spread([late for _, late in run.late]), run.processor / run.lasted if run.lasted else 0.0
    starved = sum(each.failure is not None and each.failure.kind == OURS for each in run.records)
    doubts = []
    if late.p99 is not None and late.p99 > max_late:
        doubts.append(
            f"the p99 of its lateness is {late.p99 * 1000:.0f} ms, with {max_late * 1000:g} ms allowed: the load was"
            " not what was asked for, and the latencies contain the generator's delay"
        )
    if cores > _BUSY:
        doubts.append(f"it needed {cores:.2f} of one core: answers waited for the generator, not for the server")
    if starved:
        doubts.append(f"{starved} requests were never sent: this machine had no sockets left (raise `ulimit -n`)")
    return Punctuality(late, cores, tuple(doubts))
