"""A model reads a paper in parts that fit, and what it finds is put together. Every prompt is counted before."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import accumulate, takewhile
from typing import Literal

from forge_inference.engine.contract import Chunk, Engine, Request
from forge_inference.engine.errors import InvalidRequest, PromptTooLong
from forge_inference.science.papers import answers, prompts
from forge_inference.science.papers.answers import Rejected, Statement
from forge_inference.science.papers.paper import Paper, Sentence
from forge_inference.telemetry.metrics import Metrics

AT_ONCE = 2  # prompts of one paper in the batch, so that a long paper leaves room for short questions
_SUMMARY = 6  # sentences
_DENSITY = 0.3  # tokens a character, before any were counted


@dataclass(frozen=True, slots=True)
class Part:
    """Sentences that are shown to the model together, and the prompt that shows them."""

    sentences: tuple[Sentence, ...]
    prompt: str


@dataclass
class Read:
    """What came of it. `too_long`: sentences that fit into no prompt. `unused`: of the evidence, for the summary."""

    parts: int = 0
    shown: int = 0
    characters: int = 0
    too_long: list[Sentence] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    summary: list[Statement] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    summarised: Literal["evidence", "first_sentences"] | None = None
    unused: int = 0
    calls: int = 0
    truncated: int = 0
    lines: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompts: list[str] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Statements that were verified, sentences of the summary included."""
        return len(self.statements) + len(self.summary)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a reading is."""

    stage: Literal["read", "map", "reduce"]
    done: int
    total: int
    index: int = 0  # of the paper, of several


class Reader:
    """Asks one engine about one paper. `template` has everything of a request but its prompt."""

    def __init__(
        self, engine: Engine, metrics: Metrics, paper: Paper, template: Request, style: prompts.Style = "abstract"
    ) -> None:
        self._engine, self._metrics, self._paper, self._template = engine, metrics, paper, template
        self._style = style
        self._room = engine.max_model_len - (template.max_new_tokens or 0)
        self._density = _DENSITY
        self.found = Read()

    async def plan(self, sentences: Sequence[Sentence], most_calls: int, extra: int) -> list[Part]:
        """Parts that fit, each about as long as possible. Raises InvalidRequest when these are more than allowed."""
        await self._has_room()
        parts, at = list[Part](), 0
        while at < len(sentences):
            count = await self._fitting(sentences[at:])
            if count == 0:
                self.found.too_long.append(sentences[at])
                at += 1
                continue
            together = tuple(sentences[at : at + count])
            parts.append(Part(together, self._asked(together)))
            at += count
            if len(parts) + extra > most_calls:
                share = at / len(sentences)
                raise InvalidRequest(
                    f"max_model_calls: about {round(len(parts) / share) + extra} calls are needed, and {most_calls} are"
                    " allowed; allow more, ask for fewer kinds of analysis, or send fewer sections"
                )
        chosen = [sentence for part in parts for sentence in part.sentences]
        self.found.parts, self.found.shown = len(parts), len(chosen)
        self.found.characters = sum(sentence.span.end - sentence.span.start for sentence in chosen)
        return parts

    async def _has_room(self) -> None:
        try:
            await self._engine.tokenize(self._request(self._asked(())))
        except PromptTooLong as error:
            raise InvalidRequest(f"max_new_tokens: no sentence would fit beside the question: {error}") from error

    async def _tokens(self, prompt: str) -> int | None:
        """None: more than fit."""
        try:
            return len(await self._engine.tokenize(self._request(prompt)))
        except PromptTooLong:
            return None

    async def _fitting(self, sentences: Sequence[Sentence]) -> int:
        """How many of the first sentences fit into one prompt, judged by their length where tokens were counted.

        Counting is what takes time, so a prompt is not counted to learn that one more sentence would be too many.
        """
        fits, fails, count = 0, len(sentences) + 1, self._likely(sentences, self._room)
        while fails - fits > 1:
            count = min(max(count, fits + 1), fails - 1)
            prompt = self._asked(sentences[:count])
            tokens = await self._tokens(prompt)
            if tokens is None:
                fails, count = count, count * 15 // 16
                continue
            fits, self._density = count, tokens / len(prompt)
            more = self._likely(sentences[fits:], self._room - tokens)
            if more == 0:
                break
            count = fits + more
        return fits

    def _likely(self, sentences: Sequence[Sentence], room: int) -> int:
        """How many of the first sentences are likely to have no more than so many tokens."""
        lengths = accumulate(len(self._line(sentence)) + 1 for sentence in sentences)
        return sum(1 for _ in takewhile(lambda length: length * self._density <= room, lengths))

    async def map(self, parts: Sequence[Part]) -> AsyncGenerator[Progress, None]:
        """Ask about each part, a few at once; statements come in the order of the paper."""
        answered: dict[int, list[Chunk]] = {}
        waiting = list(enumerate(parts))
        running: dict[asyncio.Task[list[Chunk]], int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < AT_ONCE:
                    place, part = waiting.pop(0)
                    running[asyncio.create_task(self._ask(part.prompt))] = place
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    answered[running.pop(task)] = task.result()
                    yield Progress("map", len(answered), len(parts))
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        for place, part in enumerate(parts):
            text, cut_off = self._said(answered[place])
            shown = {sentence.number for sentence in part.sentences}
            self._sort(answers.statements(self._paper, text, shown, cut_off=cut_off), self.found.statements)

    async def reduce(self, parts: Sequence[Part]) -> None:
        """Summarise from the sentences that statements rest on; if there are none, from the first that were shown."""
        evidence = sorted(
            {span for each in self.found.statements if each.kind != "limitation" for span in each.evidence}
        )
        known = {sentence.span: sentence for sentence in self._paper.sentences}
        chosen = [known[span] for span in evidence if span in known]
        self.found.summarised = "evidence" if chosen else "first_sentences"
        chosen = chosen or list(parts[0].sentences if parts else ())
        while chosen and await self._tokens(self._summarised(chosen)) is None:
            kept = len(chosen) * 3 // 4
            self.found.unused += len(chosen) - kept
            chosen = chosen[:kept]
        if chosen:
            text, cut_off = self._said(await self._ask(self._summarised(chosen)))
            shown = {sentence.number for sentence in chosen}
            self._sort(answers.summary(self._paper, text, shown, cut_off=cut_off), self.found.summary)

    async def _ask(self, prompt: str) -> list[Chunk]:
        self.found.prompts.append(prompt)
        async with aclosing(self._metrics.timed(self._engine.generate(self._request(prompt)))) as stream:
            return [chunk async for chunk in stream]

    def _asked(self, sentences: Sequence[Sentence]) -> str:
        return prompts.to_state(self._lines(sentences))

    def _summarised(self, sentences: Sequence[Sentence]) -> str:
        return prompts.to_summarise(self._lines(sentences), _SUMMARY, self._style)

    def _lines(self, sentences: Sequence[Sentence]) -> list[str]:
        return [self._line(sentence) for sentence in sentences]

    def _line(self, sentence: Sentence) -> str:
        return prompts.line(sentence.number, sentence.span.of(self._paper.text))

    def _request(self, prompt: str) -> Request:
        return replace(self._template, prompt=prompt)

    def _said(self, chunks: list[Chunk]) -> tuple[str, bool]:
        self._metrics.generated(chunks[-1].prompt_tokens, len(chunks))
        self.found.calls += 1
        self.found.prompt_tokens += chunks[-1].prompt_tokens
        self.found.completion_tokens += len(chunks)
        self.found.truncated += chunks[-1].finish == "length"
        return "".join(chunk.text for chunk in chunks), chunks[-1].finish == "length"

    def _sort(self, found: Iterable[Statement | Rejected], kept: list[Statement]) -> None:
        met = {(each.kind, each.text.casefold()) for each in kept}
        for each in found:
            self.found.lines += 1
            if isinstance(each, Rejected):
                self.found.rejected.append(each)
            elif (each.kind, each.text.casefold()) not in met:
                met.add((each.kind, each.text.casefold()))
                kept.append(each)
