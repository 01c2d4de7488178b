"""Papers of the corpus in the forms that papers are sent in."""

import base64
import re
from html import escape

from forge_inference.science.text.headings import is_heading
from tests.science.papers.corpus import FOLDER
from tests.support.pdfs import set_in_pages

_SPECIAL = re.compile(r"[\\%&_#${}~^]")
_NUMBER = re.compile(r"(?:#+|\d{1,2}(?:\.\d{1,2}){0,2}\.?)\s+")
_PART = re.compile(r"\d{1,2}\.\d")
_NAMES = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\^{}"}


def as_latex(text: str) -> str:
    """With sections, parts of them and tables; every other line as it is, with its marks escaped."""
    lines, rows = list[str](), list[str]()
    for line in [*text.split("\n"), ""]:
        if line.count("|") > 1 or "\t" in line:
            rows.append(line)
            continue
        if rows:
            lines += _table(rows)
            rows = []
        bare = line.strip()
        name = _escaped(_NUMBER.sub("", bare, count=1)) if is_heading(bare) else ""
        kind = "subsection" if _PART.match(bare) else "section"
        lines.append(f"\\{kind}{{{name}}}" if name else _escaped(line))
    body = "\n".join(lines)
    return f"\\documentclass{{article}}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"


def _escaped(said: str) -> str:
    return _SPECIAL.sub(lambda found: _NAMES.get(found[0], f"\\{found[0]}"), said)


def _table(rows: list[str]) -> list[str]:
    cells = [[_escaped(cell.strip()) for cell in re.split(r"[|\t]", row.strip().strip("|"))] for row in rows]
    said = [" & ".join(row) + r" \\" for row in cells if any(cell.strip("-: ") for cell in row)]
    return [rf"\begin{{tabular}}{{{'l' * len(cells[0])}}}", *said, r"\end{tabular}"]


def as_jats(text: str) -> str:
    """With sections and tables; every other line is a paragraph."""
    pieces, rows, opened = list[str](), list[str](), False
    for line in [*text.split("\n"), ""]:
        if line.count("|") > 1 or "\t" in line:
            rows.append(line)
            continue
        if rows:
            pieces.append(f"<table-wrap><table>{''.join(map(_row, rows))}</table></table-wrap>")
            rows = []
        if is_heading(line.strip()):
            pieces.append(f"{'</sec>' * opened}<sec><title>{escape(line.strip())}</title>")
            opened = True
        elif line.strip():
            pieces.append(f"<p>{escape(line)}</p>")
    return f"<article><body>{''.join(pieces)}{'</sec>' * opened}</body></article>"


def _row(line: str) -> str:
    cells = re.split(r"[|\t]", line.strip().strip("|"))
    said = any(cell.strip("-: ") for cell in cells)
    return f"<tr>{''.join(f'<td>{escape(cell.strip())}</td>' for cell in cells)}</tr>" if said else ""


def sent_as(form: str, text: str) -> dict[str, str]:
    """The field of a request that has the paper in this form."""
    if form == "pdf_base64":
        return {form: base64.b64encode(set_in_pages(text, head="Journal of Tests 12")).decode()}
    if form == "text":
        return {form: text}
    return {form: as_jats(text) if form == "jats_xml" else as_latex(text)}


def forty_pages() -> str:
    """The middle of a paper, said ten times: 40 pages of 2,500 characters each."""
    head, methods, rest = (FOLDER / "mouse-colitis.txt").read_text().partition("2. Materials and Methods")
    body, mark, back = rest.partition("Data availability")
    results = body[body.index("3. Results") :]
    return head + methods + body + results * (100_000 // len(results)) + mark + back
