"""Everything that a text names, found by tables and grammars."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from forge_inference.science.concepts.definitions import Definition, definitions
from forge_inference.science.concepts.genes import genes
from forge_inference.science.concepts.identifiers import accessions, rsids
from forge_inference.science.concepts.kinds import TYPES, Identifier, Mention, Type
from forge_inference.science.concepts.lexicon import Table, tables
from forge_inference.science.concepts.places import Places
from forge_inference.science.concepts.suffixes import drugs_by_name
from forge_inference.science.concepts.variants import located, variants
from forge_inference.science.concepts.words import Names, Word, words
from forge_inference.science.text.document import Span

HUMAN = 9606
_GENES: tuple[Type, ...] = ("gene", "family", "complex")


class Finder:
    """Finds mentions by some tables; built once, since large tables take seconds."""

    def __init__(self, own: Iterable[Path] = ()) -> None:
        self.tables: tuple[Table, ...] = tables(own)
        self._genes = Names(table for table in self.tables if table.type in _GENES)
        self._others = Names(table for table in self.tables if table.type not in _GENES)

    def mentions(self, text: str, types: Sequence[Type] = TYPES, organism: int = HUMAN) -> list[Mention]:
        """In their order, none inside of another; `text` is clean."""
        said, defined = words(text), definitions(text)
        found_genes = genes(text, said, self._genes, defined, organism)
        grounded = Places((each.span, each.identifier.name) for each in found_genes if each.identifier)
        found = [located(each, grounded) for each in variants(text, grounded)]
        found += [
            *accessions(text),
            *rsids(text),
            *found_genes,
            *self._terms(text, said, defined),
            *drugs_by_name(text),
        ]
        return [mention for mention in _longest(found) if mention.type in types]

    def _terms(self, text: str, said: list[Word], defined: dict[str, Definition]) -> list[Mention]:
        found = list[Mention]()
        meant = dict[str, Mention]()
        for hit in self._others.hits(text, said, plural=True):
            entries = list({entry.id: entry for entry, _ in hit.labels}.values())
            written, kind = hit.span.of(text), entries[0].type
            if len(written) < 4 and not any(label.text == written for _, label in hit.labels):
                continue
            ids = tuple(Identifier(entry.id, entry.name, entry.source) for entry in entries)
            if len(ids) == 1:
                mention = Mention(hit.span, written, kind, "grounded", "lexicon", ids[0])
            else:
                mention = Mention(hit.span, written, kind, "ambiguous", "lexicon", candidates=ids)
            found.append(mention)
            meant.update({short: mention for short, long in defined.items() if _is(long, hit.span)})
        for word in said:
            full = meant.get(word.text)
            if full:
                found.append(replace(full, span=word.span, text=word.text, method="abbreviation"))
        return found


def _is(definition: Definition, span: Span) -> bool:
    """Whether a definition's long form is this name, but for a short word before it."""
    return span.end == definition.span.end and 0 <= span.start - definition.span.start <= 12


def _longest(found: list[Mention]) -> list[Mention]:
    """Where mentions overlap the longer stays; genes that share a stretch (BRCA1/2) all do."""
    kept: list[Mention] = []
    ends = [0]
    for mention in sorted(found, key=lambda each: (each.span.start, -each.span.end, each.status != "grounded")):
        within = mention.span.start < ends[-1]
        if within and not ("expanded" in (*mention.notes, *kept[-1].notes) and mention.type == kept[-1].type == "gene"):
            continue
        kept.append(mention)
        ends.append(max(ends[-1], mention.span.end))
    return kept
