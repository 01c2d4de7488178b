"""Bodies of genomics questions; what /docs shows of them."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from forge_inference.science.concepts.kinds import TYPES, Type
from forge_inference.science.genomics.questions import AnswerForm, QueryType
from forge_inference.science.text.offsets import OffsetUnit
from forge_inference.web.schemas import Stop

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Choice = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Source = Annotated[str, StringConstraints(max_length=512)]
NamedIn = Literal["query", "context", "answer"]
NAMED_IN: tuple[NamedIn, ...] = ("query", "context", "answer")
Method = Literal["auto", "none", "choice_softmax", "answer_frequency", "sequence_logprob"]
FEWEST_SAMPLES = 3  # two agree or do not: nothing lies between
ANSWER_TOKENS = 512
Several = Annotated[list[dict[str, Any]], Field(min_length=1, max_length=32)]
_EXAMPLE: dict[str, Any] = {
    "query": "What does the F508del variant do to CFTR?",
    "query_type": "gene_function",
    "context": [
        {
            "id": "abstract-1",
            "text": "Cystic fibrosis is caused by variants of CFTR. F508del, the most common one, keeps the protein "
            "from reaching the cell surface. It is found in 85% of patients.",
            "source": {"pmid": "00000000"},
        }
    ],
    "require_context": True,
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ContextDocument(_Body):
    """A text that the answer may rest on. `source` comes back with citations, as it was given."""

    id: Name
    text: Annotated[str, StringConstraints(min_length=1, max_length=500_000)]
    title: Annotated[str, StringConstraints(max_length=1000)] | None = None
    source: dict[Literal["pmid", "doi", "pmcid", "url", "section"], Source] | None = None


class Organism(_Body):
    """Whose genes are meant; symbols of human genes are looked up."""

    name: str = Field("human", min_length=1, max_length=100)
    ncbi_taxon_id: int = Field(9606, ge=1, le=10_000_000)


class ConfidenceWanted(_Body):
    method: Method = Field("auto", description="auto: choice_softmax of closed questions, else sequence_logprob")
    samples: int = Field(
        1,
        ge=1,
        le=16,
        description=f"answers that are written and compared: answer_frequency, {FEWEST_SAMPLES} at least",
    )


class ConceptsWanted(_Body):
    enabled: bool = True
    types: list[Type] = Field(default_factory=lambda: list(TYPES), max_length=len(TYPES))
    sources: list[NamedIn] = Field(default_factory=lambda: list(NAMED_IN), max_length=3)


def _fits(wanted: ConfidenceWanted, closed: bool, temperature: float) -> None:
    """Raises ValueError."""
    method, samples = wanted.method, wanted.samples
    if not closed and method == "choice_softmax":
        raise ValueError("confidence.method: choice_softmax is of closed questions")
    if closed and method in ("sequence_logprob", "answer_frequency"):
        raise ValueError(f"confidence.method: {method} is of open questions; closed ones are not written")
    if method != "answer_frequency" and samples > 1:
        raise ValueError("confidence.samples: more than one are drawn for answer_frequency alone")
    if method == "answer_frequency" and samples < FEWEST_SAMPLES:
        raise ValueError(f"confidence.samples: answer_frequency needs {FEWEST_SAMPLES} at least")
    if method == "answer_frequency" and temperature == 0:
        raise ValueError("temperature: at 0 all samples of answer_frequency are the same; give one, such as 0.7")


class Query(_Body):
    """A question about genes, pathways, disease or drugs, with texts to answer it from or without."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    model: str | None = Field(None, max_length=256, description="one of /v1/models; default: the served adapter")
    query: str = Field(min_length=1, max_length=8000)
    query_type: QueryType
    context: (
        Annotated[str, StringConstraints(max_length=500_000)] | Annotated[list[ContextDocument], Field(max_length=64)]
    ) = Field(default_factory=list, description="a text, or up to 64 with ids")
    organism: Organism = Field(default_factory=lambda: Organism.model_validate({}))
    genome_assembly: Literal["GRCh37", "GRCh38", "T2T-CHM13v2.0", "unspecified"] = "unspecified"
    answer_form: AnswerForm = Field(
        "text", description="list: `items` has what was written, one by one; yes_no_maybe and choice are scored instead"
    )
    choices: Annotated[list[Choice], Field(min_length=2, max_length=26)] | None = None
    require_context: bool = Field(False, description="abstain where the context does not hold the answer")
    max_new_tokens: int | None = Field(None, ge=1, le=65_536, description=f"default {ANSWER_TOKENS}")
    max_length: int | None = Field(None, ge=1, le=65_536, description="another name of max_new_tokens")
    temperature: float = Field(0.0, ge=0, le=5)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=0, le=2**63 - 1)
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] = Field(default_factory=list)
    use_adapter: bool = Field(True, description="false: the base model alone")
    confidence: ConfidenceWanted = Field(default_factory=lambda: ConfidenceWanted.model_validate({}))
    concepts: ConceptsWanted = Field(default_factory=lambda: ConceptsWanted.model_validate({}))
    strip_citations: bool = Field(False, description="read the context without [1,2], (Smith, 2019) and the like")
    offset_unit: OffsetUnit = Field("codepoint", description="of all places in the answer; utf16: as JavaScript counts")
    include_prompt: bool = Field(False, description="tell what the model was asked, word by word")
    stream: bool = Field(False, description="server-sent events: the answer as it is written, then the whole result")

    @field_validator("query")
    @classmethod
    def _says_something(cls, query: str) -> str:
        if not query.strip():
            raise ValueError("is empty")
        return query

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.answer_form == "choice") != (self.choices is not None):
            raise ValueError("choices: give them with answer_form choice, and only then")
        if self.choices and len({choice.strip().lower() for choice in self.choices}) < len(self.choices):
            raise ValueError("choices: two of them are the same")
        _fits(self.confidence, not self.is_written, self.temperature)
        if self.max_new_tokens is not None and self.max_length is not None:
            raise ValueError("max_new_tokens and max_length mean the same: give one")
        if 0 < self.temperature < 1e-3:
            raise ValueError("temperature must be 0, or at least 0.001")
        if not isinstance(self.context, str) and len({each.id for each in self.context}) < len(self.context):
            raise ValueError("context: two documents have the same id")
        return self

    @property
    def is_written(self) -> bool:
        """Whether the model writes an answer; else it compares given ones."""
        return self.answer_form in ("text", "list")

    @property
    def documents(self) -> list[ContextDocument]:
        """The context as documents; a plain text is one that is called ctx1."""
        if isinstance(self.context, str):
            return [ContextDocument(id="ctx1", text=self.context)] if self.context else []
        return self.context

    @property
    def new_tokens(self) -> int:
        return self.max_new_tokens or self.max_length or ANSWER_TOKENS

    @property
    def stops(self) -> list[str]:
        return [self.stop] if isinstance(self.stop, str) else self.stop


class Queries(_Body):
    """Up to 32 questions that are answered in order; what is wrong with one is no fault of the others."""

    requests: Several = Field(description="each a Query")


def _which(body: object) -> str:
    if isinstance(body, list):
        return "list-of-questions"
    return "several-questions" if isinstance(body, Queries | dict) and "requests" in dict(body) else "one-question"


# By a name of ours, so that what is wrong with a question is said of its own fields alone.
Asked = Annotated[
    Annotated[Query, Tag("one-question")]
    | Annotated[Queries, Tag("several-questions")]
    | Annotated[Several, Tag("list-of-questions")],
    Discriminator(_which),
]


class GenomicsAnswer(BaseModel):
    """An answer, what supports it, and where it comes from. Places are of the texts as sent, in `offset_unit`."""

    id: str
    object: Literal["genomics.answer"] = "genomics.answer"
    created: int
    model: str
    query_type: QueryType
    answer: str | None = Field(description="null when it abstained")
    abstained: bool
    abstain_reason: str | None = Field(description="no_context, not_in_context, model_declined, unsupported")
    withheld_answer: str | None = Field(None, description="what was written and is not supported by the context")
    finish_reason: str | None
    truncated: bool
    sections: dict[str, str] = Field(description="those that the model wrote")
    items: list[dict[str, Any]] | None = Field(None, description="of answer_form list; null where it wrote no list")
    parsed: dict[str, Any] | None = Field(None, description="of answer_form list: how the model wrote it, or why not")
    options: list[dict[str, Any]] | None = Field(None, description="of closed questions, likeliest first")
    citations: list[dict[str, Any]]
    dropped_citations: list[dict[str, str]]
    unsupported_claims: list[dict[str, Any]] = Field(description="of the answer, that no sentence supports")
    offset_unit: OffsetUnit
    concepts: list[dict[str, Any]]
    unverified_identifiers: list[dict[str, Any]]
    confidence: dict[str, Any]
    context_usage: list[dict[str, Any]]
    preprocessing: dict[str, dict[str, int]]
    scope_flags: list[str]
    notice: dict[str, Any]
    prompt: str | None = None
    usage: dict[str, int]
    timing_ms: dict[str, float]
    provenance: dict[str, Any]


class GenomicsAnswers(BaseModel):
    """Answers in the order of the questions; each has `index` and either `answer` or `error`."""

    object: Literal["genomics.answers"] = "genomics.answers"
    results: list[dict[str, Any]]
