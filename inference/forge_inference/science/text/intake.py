"""What is no prose, a paper or a passage of one, said before anything reads it."""

import re

LONGEST_TEXT = 400_000  # characters: about 150 pages
_LONGEST_WORD = 3000
_PROSE = 0.4  # of the characters must be letters
_STARTS = (
    (re.compile(r"%PDF-"), "a PDF file: send the text in it; a paper may be sent as PDF"),
    (re.compile(r"PK\x03\x04"), "an archive or an office document: send the text in it"),
    (re.compile(r"\{\\rtf"), "an RTF file: send the text in it"),
    (re.compile(r"(?i:<!doctype html|<html)\b"), "a web page: send the text in it"),
    (re.compile(r"<\?xml|<!DOCTYPE|<article\b"), "XML: send JATS as jats_xml"),
    (
        re.compile(r"(?:%[^\n]{0,200}\n\s*){0,20}\\documentclass"),
        "LaTeX: send a paper as latex, or the text in it",
    ),
)
_WORD = re.compile(rf"\S{{{_LONGEST_WORD}}}")
_SEQUENCE = re.compile(r"[ACGTUNacgtun\s\d>]{3000}")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")


def refused(text: str) -> str | None:
    """Why this is not read; None when it is."""
    start = text[:5000].lstrip("\ufeff \t\r\n")
    for pattern, what in _STARTS:
        if pattern.match(start):
            return f"it is {what}"
    if _SEQUENCE.search(text) and (run := _longest_sequence(text)) > _LONGEST_WORD:
        return f"it has {run} characters of sequence in a row: leave sequences out, a paper names their accessions"
    if _WORD.search(text):
        return f"it has a run of more than {_LONGEST_WORD} characters without a space: a sequence, or encoded data"
    if not text.strip():
        return "it is blank"
    letters = sum(map(str.isalpha, text))
    if letters < _PROSE * len(text.replace(" ", "")):
        return "fewer than half of its characters are letters: it is no prose"
    if len(_TAG.findall(text)) * 40 > len(text):
        return "it is full of tags: send the text between them"
    return None


def _longest_sequence(text: str) -> int:
    """Letters of the longest run of bases, over line ends as in FASTA."""
    longest = run = 0
    for word in text.split():
        run = run + len(word) if len(word) > 9 and not word.strip("ACGTUNacgtun") else 0
        longest = max(longest, run)
    return longest
