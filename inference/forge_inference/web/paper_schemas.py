"""Bodies of /api/v1/papers/analyze; what /docs shows."""

import base64
import binascii
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from forge_inference.science.papers.parts import ANALYSES, Analysis
from forge_inference.science.papers.prompts import Style
from forge_inference.science.papers.source import Kind
from forge_inference.science.text.intake import LONGEST_TEXT
from forge_inference.science.text.offsets import OffsetUnit

_EXAMPLE = "A title\n\nMethods\n\nMale mice (n = 30) …\n\nResults\n\nWeight fell, t(28) = 2.20, p = .036."


def _decoded(sent: object) -> object:
    if not isinstance(sent, str):
        return sent
    try:
        return base64.b64decode("".join(sent.split()), validate=True)
    except binascii.Error as error:
        raise ValueError("it is no base64") from error


Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT)]
Jats = Annotated[str, StringConstraints(min_length=1, max_length=2_000_000)]
Latex = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
Pdf = Annotated[
    bytes, BeforeValidator(_decoded), WithJsonSchema({"type": "string", "contentEncoding": "base64", "minLength": 1})
]


class Sent(BaseModel):
    """One of several papers, in one of these forms."""

    model_config = ConfigDict(extra="forbid")

    text: Text | None = None
    jats_xml: Jats | None = None
    latex: Latex | None = None
    pdf_base64: Pdf | None = None

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if [self.text, self.jats_xml, self.latex, self.pdf_base64].count(None) != 3:
            raise ValueError("give one of text, jats_xml, latex and pdf_base64")
        return self


class Analyze(BaseModel):
    """A paper or several, and what to tell of each."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"text": _EXAMPLE, "analysis_type": ["key_findings", "limitations"]}},
    )

    model: str | None = Field(None, max_length=256, description="one of /v1/models; default: the served adapter")
    text: Text | None = Field(None, description="plain text with its headings")
    jats_xml: Jats | None = Field(None, description="instead of text: JATS, as of PubMed Central")
    latex: Latex | None = Field(None, description="instead of text: LaTeX, one file, as of arXiv")
    pdf_base64: Pdf | None = Field(None, description="instead of text: a small PDF; large ones as application/pdf")
    papers: Annotated[list[Sent], Field(min_length=1, max_length=16)] | None = Field(
        None, description="instead of these: several papers, one after the other"
    )
    analysis_type: Analysis | Annotated[list[Analysis], Field(min_length=1, max_length=5)] = Field(
        default_factory=lambda: list(ANALYSES), description="one or several, in one reading; default: all"
    )
    use_model: bool = Field(True, description="false: rules alone, in a second")
    use_adapter: bool = Field(True, description="false: the base model alone")
    max_new_tokens: int = Field(512, ge=16, le=4096, description="of each of the model's answers")
    max_model_calls: int = Field(24, ge=1, le=256, description="more are refused before the first")
    temperature: float = Field(0.0, ge=0, le=5)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=0, le=2**63 - 1)
    style: Style = Field("abstract", description="of the summary")
    strip_citations: bool = Field(False, description="read the paper without [1,2], (Smith, 2019) and the like")
    offset_unit: OffsetUnit = Field("codepoint", description="of all places in the answer; utf16: as JavaScript counts")
    include_prompt: bool = Field(False, description="tell what the model was asked, word by word")
    stream: bool = Field(False, description="server-sent events: progress, then the result")

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if [self.text, self.jats_xml, self.latex, self.pdf_base64, self.papers].count(None) != 4:
            raise ValueError("give one of text, jats_xml, latex, pdf_base64 and papers")
        if 0 < self.temperature < 1e-3:
            raise ValueError("temperature must be 0, or at least 0.001")
        return self

    @property
    def analyses(self) -> frozenset[Analysis]:
        """Each once."""
        return frozenset([self.analysis_type] if isinstance(self.analysis_type, str) else self.analysis_type)

    @property
    def each(self) -> list[Self]:
        """The same for each of several papers."""
        return [self.model_copy(update={**dict(paper), "papers": None}) for paper in self.papers or []]


class Quoted(BaseModel):
    """A piece of the text: `text[start:end] == quote`, counted in `offset_unit`."""

    start: int
    end: int
    quote: str
    section: str
    page: int | None = Field(None, description="of a PDF, from 1")


class Stated(BaseModel):
    """What the model says. Its sentences are quoted, and each number of the statement stands in one of them."""

    statement: str
    evidence: list[Quoted]
    numbers_verified: Literal[True] = True
    rests_on_author_stated: bool | None = Field(None, description="of limitations: whether authors call it one")


class Summary(BaseModel):
    """`text` is made of the sentences that could be verified."""

    text: str
    sentences: list[Stated]
    made_from: Literal["evidence", "first_sentences"] | None
    style: Style
    method: Literal["model"] = "model"


class Findings(BaseModel):
    findings: list[Stated]
    method: Literal["model"] = "model"


class Methodology(BaseModel):
    """By rule, and apart from it what the model says."""

    rule: dict[str, list[dict[str, Any]]]
    model: list[Stated] | None


class Benchmarks(BaseModel):
    """All by rule. `dropped` are values that the metric beside them cannot have."""

    datasets: list[dict[str, Any]]
    results: list[dict[str, Any]]
    dropped: list[dict[str, Any]]
    method: Literal["rule"] = "rule"


class Limitations(BaseModel):
    """What the authors call a limitation, by rule; apart from it what the model calls one."""

    author_stated: list[Quoted]
    model: list[Stated] | None


class Quality(BaseModel):
    """Which reporting criteria are addressed in the text. Says nothing of validity, novelty or truth."""

    criteria_set: Literal["reporting-completeness/1"] = "reporting-completeness/1"
    score: dict[str, float] | None = Field(description="addressed of expected; null for abstracts and too few criteria")
    not_assessable: str | None = Field(description="why nothing can be said, if so")
    study: list[dict[str, Any]]
    criteria: list[dict[str, Any]]
    method: Literal["rule"] = "rule"


class Sourced(BaseModel):
    """What the paper was sent as. `left_out` is no part of the text, `pages` are of a PDF."""

    kind: Kind
    quality: Literal["pdf_text_layer"] | None
    pages: list[dict[str, int]] | None = Field(description="each with number, start and end in `text`")
    left_out: list[dict[str, Any]] = Field(description="with the reason: lines of every page, pages, other files")


class Coverage(BaseModel):
    """What was read of the text, and what was not."""

    strategy: Literal["rules", "single", "map_reduce"]
    chars_total: int
    chars_shown_to_model: int
    sections: list[dict[str, Any]]
    sentences_total: int
    sentences_shown: int
    sentences_too_long: list[Quoted]
    tables: int = Field(description="read by rules, not shown to the model")
    parts: int
    model_calls: int
    truncated_answers: int
    evidence_left_out_of_summary: int


class Dropped(BaseModel):
    """What the model wrote and is not told as a statement: all of it is counted, the first 100 are shown."""

    lines: int = Field(description="that the model wrote, sentences of a summary included")
    by_reason: dict[str, int]
    items: list[dict[str, Any]]


class Paper(BaseModel):
    """The analysis. What was not asked for is null."""

    id: str
    object: Literal["paper.analysis"] = "paper.analysis"
    model: str
    source: Sourced
    text: str | None = Field(description="of JATS and PDF: what offsets count in; of others it is what was sent")
    summary: Summary | None
    key_findings: Findings | None
    methodology: Methodology | None
    benchmarks: Benchmarks | None
    limitations: Limitations | None
    quality: Quality
    statistics: list[dict[str, Any]]
    coverage: Coverage
    dropped: Dropped
    preprocessing: dict[str, int] = Field(description="how often each step of cleaning changed what is read")
    offset_unit: OffsetUnit
    prompts: list[str] | None = Field(description="with include_prompt: in the order in which they were asked")
    notice: dict[str, str]
    provenance: dict[str, Any]
    usage: dict[str, int]
    timing_ms: float


class Item(BaseModel):
    """One of several papers: its analysis, or what is wrong with it."""

    index: int
    analysis: Paper | None = None
    error: dict[str, Any] | None = None


class Papers(BaseModel):
    """Several analyses, in the order of the papers."""

    object: Literal["list"] = "list"
    results: list[Item]
