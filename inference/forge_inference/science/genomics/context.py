"""The texts that a question is asked about: sentences with numbers, and which of them there is room for."""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Document, Span
from forge_inference.science.text.folding import folded
from forge_inference.science.text.sentences import sentences

_MARKER = re.compile(r"\[(S\d{1,6})\]")
_WORD = re.compile(r"[a-z0-9]+|[α-ω]")
_COMMON = frozenset(
    """
    a an and are as at be been by can could did do does for from had has have how if in into is it its may not of on or
    our than that the their there these they this to was we were what when where which who why will with would
    gene genes protein proteins role function effect effects known disease
    """.split()  # noqa: SIM905 - as a list it would be forty lines
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """`shown` is what the model reads: on one line, and without marks that could pass for ours."""

    number: int
    document: int
    span: Span  # of the document's clean text
    shown: str
    words: frozenset[str]


@dataclass(frozen=True, slots=True)
class Context:
    """Documents by their names, and all of their sentences."""

    names: tuple[str, ...]
    documents: tuple[Document, ...]
    sentences: tuple[Sentence, ...]

    def numbered(self, number: int) -> Sentence | None:
        return self.sentences[number - 1] if 1 <= number <= len(self.sentences) else None


def read(texts: Sequence[tuple[str, str]], *, strip_citations: bool = False) -> Context:
    """Of names and texts, as they were sent."""
    documents = tuple(clean(text, strip_citations=strip_citations) for _, text in texts)
    found = list[Sentence]()
    for place, document in enumerate(documents):
        for span in sentences(document.clean):
            said = span.of(document.clean)
            shown = _MARKER.sub(r"(\1)", " ".join(said.split()))
            found.append(Sentence(len(found) + 1, place, span, shown, content_words(said)))
    return Context(tuple(name for name, _ in texts), documents, tuple(found))


def content_words(text: str) -> frozenset[str]:
    """Words by which sentences are compared, plurals as singulars."""
    found = (word.removesuffix("s") if len(word) > 4 else word for word in _WORD.findall(folded(text).lower()))
    return frozenset(word for word in found if word not in _COMMON)


def ranked(context: Context, query: str) -> list[Sentence]:
    """All sentences, those first that share the most and the rarest words with the question."""
    asked = content_words(query)
    often = Counter(word for sentence in context.sentences for word in sentence.words)
    total = len(context.sentences)

    def worth(sentence: Sentence) -> float:
        shared = asked & sentence.words
        rarity = sum(math.log(1 + total / often[word]) for word in shared)
        return rarity / (1 + len(sentence.words) / 40)

    return sorted(context.sentences, key=lambda sentence: (-worth(sentence), sentence.number))
