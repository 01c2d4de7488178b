"""Calibration profiles: by which temperature a model's likelihoods become chances of being right, and of which answers.

`python -m forge_inference.calibrate` writes them; a server that has them looks for one that fits an answer.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forge_inference.science.genomics.questions import QueryType

COOLEST, HOTTEST = 0.05, 100.0  # temperatures
LEAST = 200  # questions, below which nothing is called calibrated: a perfect model's own ECE is about 0.08 there
_LARGEST = 2**20  # bytes of a file

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{1,64}$")]
Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Interval = tuple[Part, Part]
ClosedForm = Literal["yes_no_maybe", "choice"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Circumstances(_Part):
    """Under which a model answers. With any other one, its likelihoods mean something else."""

    base_model_digest: Digest
    adapter_digest: Digest | None  # None: the base model alone
    quantization: str = Field(min_length=1, max_length=64)
    chat_template_sha256: Digest | None  # None: the model has no template
    wording_sha256: Digest

    def differs(self, other: "Circumstances") -> list[str]:
        """In what, by names of fields."""
        return [field for field in Circumstances.model_fields if getattr(self, field) != getattr(other, field)]


class ValidFor(Circumstances):
    """And what was asked."""

    method: Literal["choice_softmax"]
    answer_form: ClosedForm
    query_types: Annotated[tuple[QueryType, ...], Field(min_length=1, max_length=4)]
    options: tuple[int, int]  # the least and the most that a question had


class Fit(_Part):
    """`folds`: the temperatures by which the questions that each was not fitted on were measured."""

    temperature: float = Field(ge=COOLEST, le=HOTTEST)
    folds: tuple[Annotated[float, Field(ge=COOLEST, le=HOTTEST)], ...]
    at_limit: bool


class Questions(_Part):
    """From which it was made. `abstained` were not scored and do not count."""

    file: str = Field(max_length=255)
    sha256: Digest
    count: int = Field(ge=1)
    abstained: int = Field(ge=0)


class Scores(_Part):
    """How far confidence and being right lie apart. Intervals are of 95 %.

    `nll` is of the expected option (natural logarithm); `brier` is the mean square of confidence less being right (1 or
    0); `ece_perfect` is the ECE that a perfectly calibrated model with these confidences would show.
    """

    nll: Positive
    brier: Part
    ece: Part
    ece_interval: Interval
    ece_perfect: Part
    ece_perfect_interval: Interval

    @property
    def is_as_perfect(self) -> bool:
        """Whether a perfectly calibrated model would show as much."""
        return self.ece <= self.ece_perfect_interval[1]


class Bin(_Part):
    """Answers of about one confidence. The interval is Wilson's, of the part that was right."""

    count: int = Field(ge=1)
    confidence: Part
    accuracy: Part
    interval: Interval


class Covered(_Part):
    """Of the surest part of all answers, the part that is wrong."""

    coverage: Part
    risk: Part


class Measured(_Part):
    """On questions that the temperature was not fitted on."""

    how: str = Field(max_length=200)
    seed: int
    bins: int = Field(ge=1)
    accuracy: Part
    accuracy_interval: Interval
    brier_base_rate: Part  # of a confidence that is the accuracy for each
    auroc: Part | None  # None: all are right, or none
    before: Scores
    after: Scores
    reliability_before: tuple[Bin, ...]
    reliability_after: tuple[Bin, ...]
    risk_coverage: tuple[Covered, ...]


class Content(_Part):
    """The file."""

    format: Literal[1]
    created: datetime
    made_by: str = Field(max_length=64)  # this program's version
    fit: Fit
    valid_for: ValidFor
    questions: Questions
    measured: Measured


class Profile(_Part):
    """A profile by its file's name, and the digest of the file."""

    name: str
    sha256: Digest
    content: Content

    def mismatches(self, answered: Circumstances) -> list[str]:
        """In what a model is another one than this was made for, by names of fields."""
        return self.content.valid_for.differs(answered)

    def differs(self, answered: Circumstances, form: str, query_type: str, options: int) -> list[str]:
        """Why this says nothing about an answer, by names of fields; empty when it does."""
        ours, found = self.content.valid_for, self.mismatches(answered)
        if ours.answer_form != form:
            found.append("answer_form")
        if query_type not in ours.query_types:
            found.append("query_type")
        if not ours.options[0] <= options <= ours.options[1]:
            found.append("options")
        return found + self.weaknesses

    @property
    def weaknesses(self) -> list[str]:
        """Why what was measured makes nothing calibrated, by names of what was measured."""
        too_few, mended = self.content.questions.count < LEAST, self.content.measured.after.is_as_perfect
        return ["questions"] * too_few + ["ece"] * (not mended)


class UnusableProfile(ValueError):
    """The file is no profile; the message names it and the key."""


def read(paths: Iterable[Path]) -> tuple[Profile, ...]:
    """Raises UnusableProfile: for what is no profile, and for two that speak of the same answers."""
    found = tuple(_read(path) for path in paths)
    for one, other in combinations(found, 2):
        ours, theirs = one.content.valid_for, other.content.valid_for
        overlap = ours.options[0] <= theirs.options[1] and theirs.options[0] <= ours.options[1]
        same_types = set(ours.query_types) & set(theirs.query_types)
        if not one.mismatches(theirs) and ours.answer_form == theirs.answer_form and same_types and overlap:
            raise UnusableProfile(f"{one.name} and {other.name} are both for {min(same_types)} by this model: name one")
    return found


def _read(path: Path) -> Profile:
    try:
        with path.open("rb") as file:
            raw = file.read(_LARGEST + 1)
    except OSError as error:
        raise UnusableProfile(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > _LARGEST:
        raise UnusableProfile(f"{path}: larger than {_LARGEST // 2**10} KiB; a calibration profile has a few")
    try:
        content = Content.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        others = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise UnusableProfile(f"{path}: {f'{key}: ' if key else ''}{first['msg']}{others}") from error
    return Profile(name=path.name, sha256=f"sha256:{hashlib.sha256(raw).hexdigest()}", content=content)


def told(provenance: Mapping[str, Any]) -> Circumstances:
    """The circumstances that an answer's provenance tells of. Raises ValidationError for one that tells less."""
    quantization, prompt = provenance.get("quantization") or {}, provenance.get("prompt") or {}
    double = ["double"] if quantization.get("doubleQuant") else []
    parts = [str(quantization.get("method", "")), *double, str(quantization.get("computeDtype", ""))]
    return Circumstances.model_validate(
        {
            "base_model_digest": provenance.get("base_model_digest"),
            "adapter_digest": provenance.get("adapter_digest"),
            "quantization": "/".join(parts),
            "chat_template_sha256": prompt.get("chat_template_sha256"),
            "wording_sha256": prompt.get("wording_sha256"),
        }
    )


def nearest(
    profiles: Sequence[Profile], answered: Circumstances, form: str, query_type: str, options: int
) -> tuple[Profile, list[str]] | None:
    """The profile that fits an answer best, and in what it does not; None where there is none."""
    return min(
        ((each, each.differs(answered, form, query_type, options)) for each in profiles),
        key=lambda found: len(found[1]),
        default=None,
    )
