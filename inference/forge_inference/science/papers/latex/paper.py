"""A paper's text from LaTeX, as arXiv has it."""

from forge_inference.science.papers.latex.commands import command, sign
from forge_inference.science.papers.latex.reader import Reader
from forge_inference.science.papers.source import Source, Unreadable


def read(sent: str) -> Source:
    """Headings, paragraphs, and tables as rows. Raises Unreadable."""
    reader = Reader(sent, command, sign)
    text = reader.read()
    if not text.text.strip():
        raise Unreadable("bad_latex", "there is no text in it; send the file that has \\begin{document}")
    return Source("latex", text, left_out=tuple(reader.left_out))
