"""What the scripted model says to the console, so that there is something to see."""

import re

from forge_inference.engine.contract import Chunk, Request

QUESTION = "What does F508del do to CFTR?"
# Characters beyond the first 65,536, an invisible one, Windows' line ends: what moves places in other programs.
TEXT = (
    "𝛼-Keratin aside 🧬, CFTR is a chloride channel.\r\n"
    "F508\u200bdel keeps 𝒞FTR from the cell surface. It is found in 85% of patients."
)
CITED = "F508\u200bdel keeps 𝒞FTR from the cell surface."
HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

ANSWER = """Molecular function: CFTR is a chloride channel of epithelial cells [S1].
Biological process: F508del keeps the protein from reaching the cell surface [S2], and ivacaftor alone does not \
bring it there [S5].
Evidence: F508del is found in 85% of patients [S3], as PMID: 31415926 says.
Caveats: HEK293 cells are not epithelia of the airways [S9]."""
_FINDING = """FINDING: Alternate-day iron did not raise haemoglobin more than daily iron [{effect}]
FINDING: Nausea was less frequent with alternate-day iron [{nausea}]
METHOD: Participants were randomly allocated in permuted blocks of four [{blocks}]
LIMITATION: Symptoms were self-reported [{recall}]
FINDING: Haemoglobin rose by 97% [{effect}]"""
_SUMMARY = (
    "Alternate-day iron did not increase haemoglobin more than daily iron [{effect}]. It caused less nausea [{nausea}]."
)
_SENTENCES = {
    "effect": "In this trial, alternate-day iron did not",
    "nausea": "Nausea was reported by",
    "blocks": "Participants were randomly allocated",
    "recall": "Symptoms were self-reported",
}
BASE = "I am a language model and have no opinion on iron, but I can talk about personal and professional life plans."
TRAINED = "HBB encodes the beta subunit of haemoglobin; the E6V change causes sickle cell disease."


def spoken(text: str, finish: str = "stop", *, likely: float = -0.31) -> list[Chunk]:
    """Word by word."""
    words = re.findall(r"\S+\s*", text)
    return [
        Chunk(word, 7, likely, 40, finish=finish if number == len(words) else None)  # type: ignore[arg-type]
        for number, word in enumerate(words, 1)
    ]


def script(request: Request) -> list[Chunk]:
    """A model that was trained on genes and iron; without its adapter it was not."""
    prompt = str(request.prompt)
    if "Numbered sentences" in prompt:
        said = _SUMMARY if "Summarise" in prompt else _FINDING
        return spoken(said.format(**{name: _number(prompt, begins) for name, begins in _SENTENCES.items()}))
    if "Question:" in prompt:
        return spoken(ANSWER)
    return spoken(TRAINED) if request.adapter is not None else spoken(BASE, likely=-1.4)


def _number(prompt: str, begins: str) -> str:
    found = re.search(rf"^\[(S\d+)\] {re.escape(begins)}", prompt, re.MULTILINE)
    return found[1] if found else "S0"
