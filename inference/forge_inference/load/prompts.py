"""What is asked: questions of our own, a file's, or texts of a wanted length."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

QUESTIONS = (
    "What is the function of HBB?",
    "Which variants of CFTR cause cystic fibrosis, and how do they act on the protein?",
    "Summarise how TP53 responds to DNA damage.",
    "Why do loss-of-function variants of BRCA1 raise the risk of breast cancer?",
    "Which pathway does KRAS G12D activate, and which drugs act on it?",
    "Explain the difference between a missense and a nonsense variant.",
    "What does a UniProt entry tell about a protein that a Gene Ontology term does not?",
    "How does imatinib inhibit BCR-ABL1?",
    "What is measured by single-cell RNA sequencing that bulk sequencing cannot see?",
    "Name two ways in which batch effects confound an expression study, and a remedy for each.",
    "What is the role of APOE4 in Alzheimer's disease?",
    "How is the pathogenicity of a variant of uncertain significance re-evaluated?",
    "What does a p-value of 0.03 say, and what does it not say?",
    "Which limitations should be stated for a cohort study of 40 patients?",
    "How does CRISPR-Cas9 cut DNA, and how does a cell repair the cut?",
    "Why is LDL receptor deficiency treated with PCSK9 inhibitors?",
)
# Short frequent words: most tokenizers hold each, with the space before it, as one token.
_FREQUENT = (
    "the of and to in is that for was on are with as be at one have this from or had by but not what all were"
    " when we there can an your which their if do will each about how up out them then she many some so these would"
    " other into has more two like him see time could no make than first been its who now people my made over did"
    " down only way find use may water long little very after words called just where most know"
)
_WORDS = _FREQUENT.split()


class InvalidPrompts(Exception):
    """A file of prompts cannot be used; the message names file and line."""


@dataclass(frozen=True)
class Prompts:
    """Texts that go round; or, with `tokens`, texts of about so many tokens, each different from all others."""

    texts: Sequence[str] = QUESTIONS
    tokens: int | None = None
    seed: int = 0

    def of(self, number: int) -> str:
        """The text of the request with this number; the same seed gives the same."""
        if self.tokens is None:
            return self.texts[number % len(self.texts)]
        # From the first word on no two are alike: a server that remembers beginnings must gain nothing from it.
        source = random.Random(f"{self.seed}/{number}")  # noqa: S311 - texts that can be had again, no secret
        return " ".join(source.choices(_WORDS, k=self.tokens))


def read(path: Path) -> tuple[str, ...]:
    """One prompt a line: plain text, or in a `.jsonl` file objects with `prompt`. Raises InvalidPrompts."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPrompts(f"{path}: {error.strerror if isinstance(error, OSError) else 'is not UTF-8'}") from error
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    jsonl = path.suffix == ".jsonl"
    texts = tuple(_prompt(path, number, line) if jsonl else line for number, line in numbered)
    if not texts:
        raise InvalidPrompts(f"{path}: has no prompts")
    return texts


def _prompt(path: Path, number: int, line: str) -> str:
    try:
        text = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidPrompts(f'{path}, line {number}: each line must be an object like {{"prompt": "…"}}') from error
    if not isinstance(text, str) or not text:
        raise InvalidPrompts(f"{path}, line {number}: `prompt` must be a text")
    return text
