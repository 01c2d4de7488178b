"""A paper as text, whatever it was sent as, and what of it is no part of that text."""

from dataclasses import dataclass
from typing import Literal

from forge_inference.science.text.traced import Traced

Kind = Literal["text", "jats_xml", "latex", "pdf"]


class Unreadable(Exception):
    """It is no paper that can be read. `code` is a word that programs can rely on; the message says what to do."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is no part of the text: `said` as it stands on the first of its pages, or in the LaTeX."""

    why: Literal["repeated_line", "page_without_text", "page_too_large", "page_damaged", "other_file", "not_run"]
    said: str
    pages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """`text` is what offsets count in, or of LaTeX what was made of it; `page_starts` are of a PDF."""

    kind: Kind
    text: str | Traced
    page_starts: tuple[int, ...] = ()
    left_out: tuple[LeftOut, ...] = ()

    @property
    def characters(self) -> str:
        """The text without its places."""
        return self.text if isinstance(self.text, str) else self.text.text
