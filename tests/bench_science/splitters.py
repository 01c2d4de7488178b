"""Our sentence splitter and two others, all telling spans of the text as it was sent; importing them warns."""

import pysbd
from syntok import segmenter

from forge_inference.science.text.document import Span
from tests.bench_science.scores import ours


def of_pysbd(text: str) -> list[Span]:
    found = pysbd.Segmenter(language="en", clean=False, char_span=True).segment(text)
    return [_stripped(text, each.start, each.end) for each in found]


def of_syntok(text: str) -> list[Span]:
    return [
        Span(sentence[0].offset, sentence[-1].offset + len(sentence[-1].value))
        for paragraph in segmenter.analyze(text)
        for sentence in (list(tokens) for tokens in paragraph)
    ]


def _stripped(text: str, start: int, end: int) -> Span:
    said = text[start:end]
    return Span(start + len(said) - len(said.lstrip()), end - len(said) + len(said.rstrip()))


SPLITTERS = {"ours": ours, "pysbd": of_pysbd, "syntok": of_syntok}
