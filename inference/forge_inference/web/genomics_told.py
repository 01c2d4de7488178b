"""What of an answer has a place in a text: citations, claims, items, things that are named, sentences left out."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from forge_inference.science.concepts.kinds import Mention
from forge_inference.science.genomics.answers import Citation, Cited, unmarked
from forge_inference.science.genomics.context import Context
from forge_inference.science.genomics.gathering import Concept
from forge_inference.science.genomics.lists import Items
from forge_inference.science.text.document import Span
from forge_inference.science.text.offsets import Offsets, OffsetUnit
from forge_inference.web.asking import Fitted
from forge_inference.web.genomics_schemas import ContextDocument

_MOST_LEFT_OUT = 200


@dataclass(frozen=True, slots=True)
class Told:
    """Tells places in some texts, which are known by name: query, answer, context:ctx1; all in one unit."""

    unit: OffsetUnit
    offsets: Mapping[str, Offsets]

    @classmethod
    def of(cls, texts: Mapping[str, str], unit: OffsetUnit) -> "Told":
        return cls(unit, {name: Offsets(text, unit) for name, text in texts.items()})

    def place(self, text: str, span: Span) -> dict[str, int]:
        start, end = self.offsets[text].of(span)
        return {"start": start, "end": end}

    def citation(self, number: int, citation: Citation, context: Context, given: ContextDocument) -> dict[str, Any]:
        document = context.documents[citation.sentence.document]
        span, claim = document.located(citation.sentence.span), self.place("answer", citation.claim)
        return {
            "number": number,
            "marker": citation.marker,
            "context_id": given.id,
            **self.place(f"context:{given.id}", span),
            "offset_unit": self.unit,
            "cited_text": document.quote(span),
            "source": given.source,
            "answer_start": claim["start"],
            "answer_end": claim["end"],
            "attribution": citation.attribution,
            "support": citation.support.relation,
            "support_score": round(citation.support.score, 3),
        }

    def unsupported(self, answer: str, said: Cited) -> list[dict[str, Any]]:
        return [{"text": span.of(answer), **self.place("answer", span)} for span in said.unsupported]

    def items(self, answer: str, found: Items, said: Cited, cut_off: bool) -> list[dict[str, Any]] | None:
        """None where the model wrote no list."""
        if found.form is None:
            return None
        numbered = list(enumerate(said.citations, 1))
        last = max(found.spans, default=None)
        return [
            {
                "text": unmarked(span.of(answer)),
                **self.place("answer", span),
                "citations": [number for number, each in numbered if each.claim == span],
                "supported": span in said.claims and span not in said.unsupported,
                "cut_off": cut_off and span == last,
            }
            for span in found.spans
        ]

    def concept(self, concept: Concept, texts: Iterable[str]) -> dict[str, Any]:
        """Mentions in `texts` alone."""
        mention, wanted = concept.mention, set(texts)
        return {
            "text": mention.text,
            "type": mention.type,
            "status": mention.status,
            "method": mention.method,
            "normalized": _identifier(mention),
            "candidates": [{"id": each.id, "name": each.name, "source": each.source} for each in mention.candidates],
            "variant": _variant(mention),
            "notes": list(mention.notes),
            "mentions": [
                {"in": each.text, **self.place(each.text, each.span)} for each in concept.places if each.text in wanted
            ],
            "in_context": concept.in_context,
        }

    def made_up(self, concepts: Iterable[Concept]) -> list[dict[str, Any]]:
        """Identifiers that the answer names and nobody gave."""
        why = "the answer names it; neither the question nor the context does"
        return [
            {"text": concept.mention.text, **self.place(each.text, each.span), "why": why}
            for concept in concepts
            for each in concept.places
        ]

    def usage(self, context: Context, prompt: Fitted) -> list[dict[str, Any]]:
        """Of each document how many sentences the model was shown, and which not, by their places."""
        shown = {sentence.number for sentence in prompt.shown}
        used = Counter(sentence.document for sentence in prompt.shown)
        every = Counter(sentence.document for sentence in context.sentences)
        left: dict[int, list[list[int]]] = {}
        for sentence in context.sentences:
            if sentence.number not in shown:
                place, name = sentence.document, f"context:{context.names[sentence.document]}"
                span = context.documents[place].located(sentence.span)
                left.setdefault(place, []).append(list(self.offsets[name].of(span)))
        return [
            {
                "id": name,
                "sentences": every[place],
                "used_sentences": used[place],
                "truncated": used[place] < every[place],
                "left_out": left.get(place, [])[:_MOST_LEFT_OUT],
            }
            for place, name in enumerate(context.names)
        ]


def _identifier(mention: Mention) -> dict[str, str] | None:
    found = mention.identifier
    return {"id": found.id, "name": found.name, "source": found.source} if found else None


def _variant(mention: Mention) -> dict[str, Any] | None:
    found = mention.variant
    if found is None:
        return None
    return {
        "kind": found.kind,
        "level": found.level,
        "canonical": found.canonical,
        "reference": found.reference,
        "gene": found.gene,
        "gene_inferred": found.gene_inferred,
        "assembly": found.assembly,
        "legacy": found.legacy,
        "validation": "syntax",
    }
