"""Asks a server every question, and keeps how likely it finds each option and what answered."""

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp  # as in load; why is in docs/decisions
from pydantic import ValidationError

from forge_inference.calibrate.questions import Question, Questions
from forge_inference.load.client import message
from forge_inference.science.genomics.profiles import Circumstances, told
from forge_inference.science.genomics.questions import QueryType

_AT_ONCE = 4  # others may be asking too
_TIMEOUT = 600.0  # seconds of an answer
_TRIES = 20  # of a question that the server has no room for
_WAIT = 1.0  # seconds before the next, where the server does not say
_LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Scored:
    """`logprobs` in the order of the question's options; `right` is the place of the expected one among them."""

    logprobs: tuple[float, ...]
    right: int
    query_type: QueryType


@dataclass(frozen=True, slots=True)
class Heard:
    """All answers, and what gave them."""

    scored: tuple[Scored, ...]
    abstained: int
    circumstances: Circumstances


class ServerFailed(Exception):
    """The server did not answer as one of ours does; the message says to which line."""


async def ask(url: str, questions: Questions, model: str | None, heard: Callable[[int], None]) -> Heard:
    """`heard` is told how many answers are there. Raises ServerFailed; what is on its way is awaited before."""
    left, failures = iter(questions.all), list[ServerFailed]()
    found = dict[int, tuple[Circumstances, Scored | None]]()

    async def one_after_another(http: aiohttp.ClientSession) -> None:
        for question in left:
            try:
                found[question.line] = _read(await _answer(http, url, question, model), question)
            except ServerFailed as error:
                failures.append(error)
            if failures:
                return
            heard(len(found))

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT)) as http:
        await asyncio.gather(*(one_after_another(http) for _ in range(_AT_ONCE)))
    if failures:
        raise failures[0]
    return _together(questions.all, [found[each.line] for each in questions.all])


def _together(questions: Sequence[Question], found: Sequence[tuple[Circumstances, Scored | None]]) -> Heard:
    first = found[0][0]
    for question, (circumstances, _) in zip(questions, found, strict=True):
        if others := circumstances.differs(first):
            raise ServerFailed(
                f"line {question.line} was answered with another {' and '.join(others)} than line {questions[0].line}: "
                "the model was exchanged, or the questions name several models. Nothing was written"
            )
    scored = tuple(each for _, each in found if each)
    return Heard(scored, len(found) - len(scored), first)


async def _answer(http: aiohttp.ClientSession, url: str, question: Question, model: str | None) -> Any:
    body = {**question.body, **({"model": model} if model else {})}
    for left in reversed(range(_TRIES)):
        try:
            async with http.post(f"{url}/api/v1/genomics/query", json=body) as answer:
                said = await answer.text(errors="replace")
                status, wait = answer.status, answer.headers.get("Retry-After", "")
        except TimeoutError as error:
            raise ServerFailed(f"line {question.line}: no answer within {_TIMEOUT:g} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ServerFailed(
                f"line {question.line}: {url} did not answer: {error or type(error).__name__}"
            ) from error
        if status in (429, 503) and left:
            await asyncio.sleep(min(_LONGEST_WAIT, float(wait)) if wait.isdecimal() else _WAIT)
            continue
        break
    if status != 200:
        raise ServerFailed(f"line {question.line}: the server answered {status}: {message(said)}")
    try:
        return json.loads(said)
    except ValueError as error:
        raise ServerFailed(f"line {question.line}: the server answered no JSON: {said[:80]!r}") from error


def _read(answer: Any, question: Question) -> tuple[Circumstances, Scored | None]:
    """None: it abstained before it looked at the options."""
    try:
        circumstances = told(answer["provenance"])
        options = answer["options"]
        if options is None and answer["abstained"] is True:
            return circumstances, None
        likely = {str(each["text"]): float(each["mean_logprob"]) for each in options}
        logprobs = tuple(likely[option] for option in question.options)
    except ValidationError as error:
        fields = ", ".join(str(each["loc"][0]) for each in error.errors())
        raise ServerFailed(f"line {question.line}: the answer's provenance lacks {fields}: an older server?") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ServerFailed(
            f"line {question.line}: no answer to a genomics question, or to another one: {type(error).__name__} {error}"
        ) from error
    if not all(map(math.isfinite, logprobs)):
        raise ServerFailed(f"line {question.line}: a log-probability is not finite")
    return circumstances, Scored(logprobs, question.options.index(question.expected), question.type)
