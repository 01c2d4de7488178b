"""The four kinds of questions, and how each is put to a model."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, get_args

from forge_inference.science.genomics.context import Sentence
from forge_inference.science.text.document import Span

QueryType = Literal["gene_function", "pathway_analysis", "disease_association", "drug_discovery"]
AnswerForm = Literal["text", "list", "yes_no_maybe", "choice"]
ABSTAIN = "INSUFFICIENT EVIDENCE"
OPTIONS = ("yes", "no", "maybe")
_LIST = "Answer with a list and nothing else: one item a line, each begins with a dash. If there is none, write NONE."


@dataclass(frozen=True, slots=True)
class Kind:
    """`sections` are asked for by these names, and found again by them; `care` is what such answers often lack."""

    task: str
    sections: dict[str, str]
    care: str


KINDS: dict[QueryType, Kind] = {
    "gene_function": Kind(
        "Answer a question about what a gene does.",
        {
            "molecular_function": "Molecular function",
            "biological_process": "Biological process",
            "cellular_component": "Cellular component",
            "evidence": "Evidence",
            "caveats": "Caveats",
        },
        "Do not mix it up with other members of its family. Write unknown where nothing is known.",
    ),
    "pathway_analysis": Kind(
        "Answer a question about pathways.",
        {
            "pathways": "Pathways",
            "role": "Role in the pathway",
            "direction": "Direction",
            "evidence": "Evidence",
        },
        "Say whether something activates, inhibits or is unclear. State no p-values: no enrichment is computed.",
    ),
    "disease_association": Kind(
        "Answer a question about genes and disease.",
        {
            "associations": "Associations",
            "evidence": "Evidence",
            "population": "Population",
            "caveats": "Caveats",
        },
        "An association is no cause. Classify no variant as pathogenic or benign.",
    ),
    "drug_discovery": Kind(
        "Answer a question about a drug target.",
        {
            "rationale": "Target rationale",
            "modulators": "Known modulators",
            "tractability": "Tractability",
            "safety": "Safety",
            "evidence": "Evidence",
        },
        "Stages of development are as of your training and may be out of date. Give no doses.",
    ),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, apart from the context."""

    query: str
    type: QueryType
    organism: str
    assembly: str
    form: AnswerForm
    choices: tuple[str, ...]
    require_context: bool

    @property
    def options(self) -> tuple[str, ...]:
        """What a closed question may be answered with; none of an open one."""
        return {"text": (), "list": (), "yes_no_maybe": OPTIONS, "choice": self.choices}[self.form]


def prompt(question: Question, context: Sequence[Sentence]) -> str:
    """One turn: models whose templates have no system role, or that were trained without one, read it as well."""
    kind = KINDS[question.type]
    parts = [f"{kind.task} {kind.care}", f"Organism: {question.organism}. Assembly: {question.assembly}."]
    if context:
        parts.append("Context:\n" + "\n".join(f"[S{each.number}] {each.shown}" for each in context))
    parts.append(f"Question: {question.query}")
    parts.append(_form(question, kind, bool(context)))
    return "\n\n".join(parts)


def _form(question: Question, kind: Kind, has_context: bool) -> str:
    if question.options:
        return f"Answer with one of: {', '.join(question.options)}. Write nothing else.\nAnswer:"
    is_list = question.form == "list"
    asked = [_LIST if is_list else f"Answer under these headings: {', '.join(kind.sections.values())}."]
    if has_context:
        asked.append(f"After each {'item' if is_list else 'claim'}, name the sentence that supports it, like [S1].")
    if question.require_context:
        asked.append(f"Use the context alone. If it does not hold the answer, write {ABSTAIN}.")
    return " ".join(asked)


@cache
def template_digest() -> str:
    """Of everything that is said around a question, so that an answer tells which wording it was given."""
    kinds = {name: [kind.task, kind.sections, kind.care] for name, kind in KINDS.items()}
    shown = [Sentence(1, 0, Span(0, 0), "", frozenset())]
    frames = [prompt(Question("", "gene_function", "", "", form, ("",), True), shown) for form in get_args(AnswerForm)]
    return f"sha256:{hashlib.sha256(json.dumps([kinds, frames]).encode()).hexdigest()}"
