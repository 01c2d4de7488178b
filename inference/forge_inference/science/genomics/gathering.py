"""What is named in a question, its context and its answer, gathered by thing; and what is named in the answer alone."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.kinds import Mention, Type
from forge_inference.science.text.document import Document, Span


@dataclass(frozen=True, slots=True)
class Place:
    """`span` is of the text as sent; `text` is that text's name: query, answer, context:ctx1."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Concept:
    """The first mention, or the first that says whose variant it is, and all places."""

    mention: Mention
    places: tuple[Place, ...]

    @property
    def in_context(self) -> bool:
        return any(place.text.startswith("context:") for place in self.places)


def gathered(texts: Mapping[str, Document], finder: Finder, types: Sequence[Type], organism: int) -> list[Concept]:
    """In the order in which things are first named."""
    first: dict[tuple[str, str], Mention] = {}
    places: dict[tuple[str, str], list[Place]] = {}
    for name, document in texts.items():
        for mention in finder.mentions(document.clean, types, organism):
            known = first.setdefault(mention.key, mention)
            if known.variant and not known.variant.gene and mention.variant and mention.variant.gene:
                first[mention.key] = mention  # which says more of it
            places.setdefault(mention.key, []).append(Place(name, document.located(mention.span)))
    return [Concept(mention, tuple(places[key])) for key, mention in first.items()]


def unverified(concepts: Iterable[Concept], texts: Mapping[str, Document]) -> list[Concept]:
    """Identifiers that the answer names and nobody gave. Models invent these, and each costs somebody an afternoon."""
    given = " ".join(_plain(document.clean) for name, document in texts.items() if name != "answer")
    return [
        concept
        for concept in concepts
        if concept.mention.type in ("rsid", "accession")
        and all(place.text == "answer" for place in concept.places)
        and _plain(concept.mention.text) not in given
    ]


def _plain(text: str) -> str:
    return re.sub(r"[\s:]", "", text).lower()
