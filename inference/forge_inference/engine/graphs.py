"""Forwards of a few tokens, recorded once and replayed: asking a GPU for each kernel takes longer than computing it.

docs/decisions/2026-11-26-recorded-steps.md says why.
"""

import logging
from collections import Counter
from collections.abc import Callable

import torch

from forge_inference.engine.adapters import Slots

logger = logging.getLogger(__name__)

_MOST = 96  # recordings; each holds some megabytes of what the driver needs to replay it
_LEAST_READ = 256  # tokens; fewer are read as fast

Forward = Callable[[], tuple[torch.Tensor, ...]]  # a row of each for each answer
Replay = Callable[[], object]
Recorder = Callable[[Callable[[], None]], Replay]


def standard(size: int, most: int, least: int = 1) -> int:
    """The least of 2, 3, 4, 6, 8, 12, 16 … that is not smaller, or `most`: few sizes, so that most are seen again."""
    power = 1 << max(size - 1, least - 1, 0).bit_length()
    return min(3 * power // 4 if size <= 3 * power // 4 and least < power else power, most)


class OnCuda:
    """Records what a forward asks the GPU for, without computing it. All recordings share their memory."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, forward: Callable[[], None]) -> Replay:
        graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
        # Other threads may use the GPU meanwhile.
        with torch.cuda.graph(graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"):
            forward()
        return graph.replay


class Graphs:
    """The recordings of one model, for one thread. What is recorded reads the same tensors each time."""

    def __init__(self, slots: Slots, answers: int, recorder: Recorder) -> None:
        """`answers`: at once, and so the most tokens of a step that is recorded."""
        self._slots, self._answers, self._recorder = slots, answers, recorder
        self._found: tuple[torch.Tensor, ...] = ()  # what all recordings write to
        self._known: dict[tuple[int, ...], tuple[Replay, int]] = {}
        self._seen = Counter[tuple[int, ...]]()
        self._version = slots.version

    def rows(self, answers: int) -> int:
        """Of a step of one token for each of so many answers, as it is recorded."""
        return standard(answers, self._answers)

    def sizes(self, tokens: int, read: int, most_read: int) -> tuple[int, int] | None:
        """Tokens of a step and tokens that it reads from the cache, as they are recorded; None for one that is not."""
        if not read or tokens > self._answers:
            return None
        return standard(tokens, 2 * self._answers), standard(read, most_read, _LEAST_READ)

    def run(self, key: tuple[int, ...], forward: Forward) -> tuple[torch.Tensor, ...]:
        """A step whose sizes are `key`. What it finds is overwritten by the next one."""
        if self._version != self._slots.version:  # recordings know the adapters' tensors by their address
            self._known.clear()
            self._seen.clear()
            self._version = self._slots.version
        if known := self._known.get(key):
            replay, rows = known
            replay()
            return tuple(each[:rows] for each in self._found)
        found = forward()
        self._seen[key] += 1
        if self._seen[key] == 2 and len(self._known) < _MOST:  # what is seen once may never be again
            self._record(key, forward, found)
        return found

    def _record(self, key: tuple[int, ...], forward: Forward, like: tuple[torch.Tensor, ...]) -> None:
        if not self._found:
            self._found = tuple(each.new_empty((self._answers, *each.shape[1:])) for each in like)
        rows = len(like[0])

        def recorded() -> None:
            for into, each in zip(self._found, forward(), strict=True):
                into[:rows].copy_(each)

        try:
            self._known[key] = self._recorder(recorded), rows
        except RuntimeError as error:
            logger.warning("steps of %d tokens are computed without a recording: %s", key[0], error)
