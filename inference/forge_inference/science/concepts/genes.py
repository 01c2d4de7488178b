"""Genes and their families: which of the names that a text could mean it does mean, and when that stays open."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from forge_inference.science.concepts.cues import CUE, GENE_WORDS, WORDLIKE
from forge_inference.science.concepts.definitions import Definition
from forge_inference.science.concepts.kinds import Identifier, Mention, Status
from forge_inference.science.concepts.lexicon import Entry, Label
from forge_inference.science.concepts.places import Places
from forge_inference.science.concepts.words import Hit, Names, Word
from forge_inference.science.text.document import Span
from forge_inference.science.text.folding import folded

_REACH = 5  # words on either side in which a cue counts
_CLAUSE = re.compile(r"[.;:?!]\s")
_LISTED = re.compile(r"[\s(]*(?:,|/|and|or|,\s*and|,\s*or|;|\+|-|–)[\s)]*")
_EXPANDED = re.compile(r"((?:/\d{1,2}[A-Z]?){1,4})(?![\w])")
_DATES = re.compile(r"(?<![\w-])(?:\d{1,2}-(?:Mar|Sep|Dec)|(?:Mar|Sep|Dec)-\d{1,2})(?![\w-])")


def genes(text: str, said: list[Word], names: Names, defined: Mapping[str, Definition], organism: int) -> list[Mention]:
    """Mentions of genes, families and complexes, in their order."""
    found: list[tuple[Hit, Mention]] = []
    open_: list[tuple[Hit, list[tuple[Entry, Label]]]] = []
    for hit in names.hits(text, said, plural=False):
        labels = _allowed(text, hit, organism)
        if not labels or _is_something_else(hit, labels, defined, text):
            continue
        if (
            hit.span.of(text) in WORDLIKE
            and not _is_cued(text, said, hit)
            and not _is_defined(hit, labels, defined, text)
        ):
            open_.append((hit, labels))
        else:
            found.append((hit, _mention(text, hit, labels, defined, organism)))
    sure = Places((hit.span, "") for hit, _ in found)
    found += [
        (hit, _mention(text, hit, labels, defined, organism))
        for hit, labels in open_
        if _is_listed(text, hit.span, sure)
    ]
    mentions = [mention for _, mention in found]
    mentions += [more for mention in mentions for more in _expansions(text, mention, names)]
    return sorted([*mentions, *_dates(text, len(mentions))], key=lambda mention: mention.span)


def _allowed(text: str, hit: Hit, organism: int) -> list[tuple[Entry, Label]]:
    """The labels whose upper and lower case the text keeps, as far as it matters for each."""
    written = folded(hit.span.of(text))
    return [
        (entry, label) for entry, label in hit.labels if _is_written(written, folded(label.text), label.kind, organism)
    ]


def _is_written(written: str, label: str, kind: str, organism: int) -> bool:
    if written.replace(" ", "-") == label.replace(" ", "-") or written == label:
        return True
    if label.islower() and len(label) > 4:  # huntingtin
        return written.lower() == label
    if written == label.capitalize() and kind == "symbol" and len(label) > 2:
        return organism in (9606, 10090, 10116)  # Brca1: the gene of a mouse or a rat
    has_digit = any(letter.isdigit() or letter > "\x7f" for letter in label)
    return has_digit and kind != "symbol" and len(label) > 3 and not written.islower()


def _mention(
    text: str, hit: Hit, labels: list[tuple[Entry, Label]], defined: Mapping[str, Definition], organism: int
) -> Mention:
    written = hit.span.of(text)
    symbols = [(entry, label) for entry, label in labels if label.kind == "symbol"]
    exact = [(entry, label) for entry, label in labels if folded(label.text) == folded(written)]
    chosen = symbols or exact or labels
    entries = list({entry.id: entry for entry, _ in chosen}.values())
    kind = entries[0].type
    method = "lexicon"
    if len(entries) > 1 and (definition := defined.get(written)):
        meant = [entry for entry in entries if _overlap(definition.long, entry) > 0.6]
        if len(meant) == 1:
            entries, method = meant, "abbreviation"
    candidates = tuple(Identifier(entry.id, entry.name, entry.source) for entry in entries)
    notes = tuple(f"previous symbol of {entry.name}" for entry, label in chosen if label.kind == "previous")
    if len(candidates) > 1:
        return Mention(hit.span, written, kind, "ambiguous", "lexicon", candidates=candidates, notes=notes)
    if chosen[0][1].kind == "symbol" and written != chosen[0][1].text and written == chosen[0][1].text.capitalize():
        note = "written as genes of mice and rats are; the candidate is the human gene of that symbol"
        return Mention(hit.span, written, kind, "ungrounded", "lexicon", candidates=candidates, notes=(note,))
    status: Status = "grounded"
    return Mention(hit.span, written, kind, status, method, candidates[0], notes=notes[:1])  # type: ignore[arg-type]


def _is_cued(text: str, said: list[Word], hit: Hit) -> bool:
    """Whether a word nearby, in the same clause, speaks of genes."""
    last = hit.first + hit.words
    around = said[max(0, hit.first - _REACH) : hit.first] + said[last : last + _REACH]
    return any(
        CUE.match(word.text)
        and not _CLAUSE.search(text, min(word.span.end, hit.span.end), max(word.span.start, hit.span.start))
        for word in around
    )


def _is_listed(text: str, span: Span, sure: Places) -> bool:
    """Whether it stands in a list with a gene: "KRAS, BRAF and MET"."""
    for near, _ in sure.around(span):
        one, other = sorted((near, span))
        if other.start - one.end < 8 and _LISTED.fullmatch(text[one.end : other.start]):
            return True
    return False


def _is_something_else(
    hit: Hit, labels: list[tuple[Entry, Label]], defined: Mapping[str, Definition], text: str
) -> bool:
    """Whether the text itself says that these letters stand for something that is no gene."""
    definition = defined.get(hit.span.of(text))
    begun = definition is not None and definition.span.start < hit.span.start  # it holds from its place on
    return begun and not _is_defined(hit, labels, defined, text)


def _is_defined(hit: Hit, labels: list[tuple[Entry, Label]], defined: Mapping[str, Definition], text: str) -> bool:
    definition = defined.get(hit.span.of(text))
    if definition is None:
        return False
    known = any(_overlap(definition.long, entry) >= 0.5 for entry, _ in labels)
    return known or bool(GENE_WORDS & set(re.findall(r"[a-z]+", definition.long.lower())))


def _overlap(long: str, entry: Entry) -> float:
    """Which part of a definition's words are words of the entry's names."""
    words = set(re.findall(r"[a-z0-9]+|[α-ω]", folded(long).lower()))
    names = " ".join((entry.title, *(label.text for label in entry.labels)))
    return len(words & set(re.findall(r"[a-z0-9]+|[α-ω]", folded(names).lower()))) / len(words) if words else 0.0


def _expansions(text: str, mention: Mention, names: Names) -> Iterator[Mention]:
    """BRCA1/2 is BRCA1 and BRCA2: the second one is quoted as the whole."""
    more = _EXPANDED.match(text, mention.span.end)
    stem = re.fullmatch(r"(.*?)\d{1,2}", mention.text)
    if mention.type != "gene" or mention.identifier is None or not more or not stem:
        return
    for number in more[1].strip("/").split("/"):
        entry = names.symbol(f"{stem[1]}{number}")
        if entry:
            span = Span(mention.span.start, more.end())
            identifier = Identifier(entry.id, entry.name, entry.source)
            yield replace(mention, span=span, text=span.of(text), identifier=identifier, notes=("expanded",))


def _dates(text: str, others: int) -> Iterator[Mention]:
    """What a spreadsheet makes of SEPTIN9 and MARCHF1; only where there are genes enough to speak of a list."""
    if others < 2:
        return
    for found in _DATES.finditer(text):
        note = "excel_date_artifact: a spreadsheet may have turned a symbol (MARCH1, SEPT9) into a date"
        yield Mention(Span(*found.span()), found[0], "gene", "ungrounded", "rule", notes=(note,))
