"""Questions with the answers that are expected, one JSON object a line; what is wrong is told by line and field."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forge_inference.science.genomics.questions import OPTIONS, QueryType
from forge_inference.web.genomics_schemas import Query

FEWEST = 50  # of fewer the figures would be mostly chance
_MOST = 20_000
_LARGEST = 256 * 2**20  # bytes
_TOLD = 10  # faults


@dataclass(frozen=True, slots=True)
class Question:
    """`body` is what the server is asked; `expected` is one of `options`, as it stands there."""

    line: int
    body: dict[str, Any]
    type: QueryType
    expected: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Questions:
    """Those of a file, all of one form."""

    file: str
    sha256: str
    form: str
    all: tuple[Question, ...]

    def told(self) -> str:
        """In a line, for people."""
        types = Counter(each.type for each in self.all)
        expected = Counter(each.expected for each in self.all).most_common(6)
        return (
            f"{self.file}: {len(self.all)} questions, {self.form}; "
            + ", ".join(f"{count} {name}" for name, count in types.most_common())
            + "; most often expected: "
            + ", ".join(f"{text[:40]} ({count})" for text, count in expected)
        )


class InvalidQuestions(ValueError):
    """The message has a sentence for each of the first faults: file, line, field."""


def read(path: Path) -> Questions:
    """Raises InvalidQuestions."""
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise InvalidQuestions(f"{path} cannot be read: {error.strerror}") from error
    if len(raw) > _LARGEST:
        raise InvalidQuestions(f"{path}: larger than {_LARGEST // 2**20} MiB")
    found, faults, seen = list[Question](), list[str](), dict[str, int]()
    lines = [(number, line) for number, line in enumerate(raw.split(b"\n"), 1) if line.strip()]
    if len(lines) > _MOST:
        raise InvalidQuestions(f"{path}: {len(lines):,} questions; {_MOST:,} are the most, and more say nothing more")
    for number, line in lines:
        try:
            question = _question(number, line)
            same = seen.setdefault(json.dumps(question.body, sort_keys=True), number)
            if same != number:  # else it would be measured on what it was fitted on
                raise ValueError(f"the same question as in line {same}")
            found.append(question)
        except ValueError as error:
            faults.append(f"{path}:{number}: {error}")
    forms = {each.body["answer_form"]: each.line for each in reversed(found)}
    if len(forms) > 1:
        both = " and ".join(f"{form} (line {line})" for form, line in sorted(forms.items(), key=lambda item: item[1]))
        faults.append(f"{path}: answer_form: {both} in one file; their temperatures differ, so give each its own")
    if faults:
        more = [f"… and {len(faults) - _TOLD} more"] if len(faults) > _TOLD else []
        raise InvalidQuestions("\n".join([*faults[:_TOLD], *more]))
    if len(found) < FEWEST:
        raise InvalidQuestions(
            f"{path}: {len(found)} questions; below {FEWEST} a temperature and its error are mostly chance"
        )
    return Questions(path.name, f"sha256:{hashlib.sha256(raw).hexdigest()}", next(iter(forms)), tuple(found))


def _question(number: int, line: bytes) -> Question:
    """Raises ValueError, which names the field."""
    try:
        body = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except RecursionError as error:
        raise ValueError("no JSON that anybody would write: too deep") from error
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(body, dict):
        raise ValueError("no JSON object: a question is written {…}")
    if "expected" not in body:
        raise ValueError("expected: is missing; it is the right answer")
    expected = body.pop("expected")
    if not isinstance(expected, str):
        raise ValueError(f"expected: {json.dumps(expected)[:80]} is no text")
    try:
        query = Query.model_validate(body)
    except ValidationError as error:
        faults = (
            (".".join(map(str, each["loc"])), each["msg"].removeprefix("Value error, ")) for each in error.errors()
        )
        raise ValueError("; ".join(f"{place}: {fault}" if place else fault for place, fault in faults)[:500]) from error
    if query.answer_form not in ("yes_no_maybe", "choice"):
        raise ValueError(f"answer_form: {query.answer_form} has no options to compare; yes_no_maybe and choice have")
    if query.stream:
        raise ValueError("stream: leave it out; closed questions are not written")
    if query.confidence.method not in ("auto", "choice_softmax"):
        raise ValueError(f"confidence.method: {query.confidence.method} is not what is calibrated; leave it out")
    options = tuple(query.choices or OPTIONS)
    right = [option for option in options if option.strip().lower() == expected.strip().lower()]
    if not right:
        raise ValueError(f"expected: {expected[:80]!r} is none of {', '.join(options)}")
    return Question(number, body, query.query_type, right[0], options)
