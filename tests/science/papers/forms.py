"""Papers of the corpus as LaTeX."""

import re

from forge_inference.science.text.headings import is_heading

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
