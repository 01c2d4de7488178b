"""What happened to each request. Times are seconds since the load began."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

# Kinds of failures, where the status code does not say it. REFUSED are the server's own words that it is too busy.
REFUSED = ("429", "503")
TIMEOUT, CONNECT, RESET, CUT, GARBAGE, TOLD = "timeout", "connect", "reset", "cut short", "garbage", "error event"
OURS = "generator"  # this machine has no sockets or ports left: nothing about the server


@dataclass(frozen=True)
class Failure:
    """Why there is no whole answer: one of the kinds above or `HTTP 500`, and what was said."""

    kind: str
    message: str


@dataclass(slots=True)
class Record:
    """One request, from when it was due to the end of its answer. Unfinished while neither whole nor failed."""

    number: int
    due: float
    sent: float | None = None
    pieces: "array[float]" = field(default_factory=lambda: array("d"))  # when each event with text came
    ended: float | None = None
    failure: Failure | None = None
    tokens: int = 0  # as the server counts; events with text where it does not
    prompt_tokens: int | None = None
    waits: int = 0  # times that a refusal was heeded and the request asked again

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end."""
        return self.ended is not None and self.failure is None

    @property
    def refused(self) -> bool:
        """Whether the server was too busy, and said so."""
        return self.failure is not None and self.failure.kind in REFUSED

    @property
    def failed(self) -> bool:
        """Whether it went wrong otherwise."""
        return self.failure is not None and not self.refused

    @property
    def outcome(self) -> str:
        """In one word, once it has ended."""
        return "succeeded" if self.whole else "refused" if self.refused else "failed"

    @property
    def first(self) -> float | None:
        """Seconds to the first token, from when the request was due; None for an answer without text."""
        return self.pieces[0] - self.due if self.pieces else None

    @property
    def whole_in(self) -> float:
        """Seconds to the end, from when the request was due."""
        if self.ended is None:
            raise ValueError("it has not ended")
        return self.ended - self.due

    @property
    def per_token(self) -> float | None:
        """Mean seconds between tokens; None with fewer than two."""
        if self.tokens < 2 or len(self.pieces) < 2:
            return None
        return (self.pieces[-1] - self.pieces[0]) / (self.tokens - 1)


@dataclass
class Run:
    """A load while it goes on, and after it.

    `arrivals`: when requests are due in an open loop, empty in a closed one. `seconds`: how long load was offered.
    `beats`: pairs of when this program should have woken up, and by how many seconds it was late.
    """

    arrivals: Sequence[float]
    seconds: float
    began_at: str = ""  # UTC, ISO 8601
    records: list[Record] = field(default_factory=list)
    beats: list[tuple[float, float]] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)  # succeeded, refused, failed: so far
    processor: float = 0.0  # seconds of CPU time that this program took
    lasted: float = 0.0  # seconds to the end of the last answer
    interrupted: bool = False

    @property
    def offered_for(self) -> float:
        """Seconds in which load was offered; an interruption ends it early."""
        return min(self.seconds, self.lasted) if self.interrupted else self.seconds

    @property
    def in_flight(self) -> int:
        """Requests that were sent and have not ended."""
        return len(self.records) - self.ended.total()

    @property
    def late(self) -> list[tuple[float, float]]:
        """The same of everything that this program had to do in time: its beats, and its requests."""
        sent = [(each.due, each.sent - each.due) for each in self.records if each.sent is not None]
        return self.beats + sent

    @property
    def offered(self) -> int:
        """Requests that were due so far."""
        if not self.arrivals:
            return len(self.records)
        return sum(due <= self.lasted for due in self.arrivals)
