"""What each command says. One that nobody knows says nothing itself; what it is given in braces is text."""

import re
import unicodedata
from functools import partial

from forge_inference.science.papers.latex import words
from forge_inference.science.papers.latex.environments import begin, end
from forge_inference.science.papers.latex.macros import define, expand
from forge_inference.science.papers.latex.reader import Command, Reader
from forge_inference.science.papers.latex.view import View
from forge_inference.science.papers.source import LeftOut
from forge_inference.science.text.scripts import small

_BLANKS = re.compile(r"[ \t]*")
_CITING = re.compile(r"(?:paren|text|auto|foot|super|full|short|smart|no)?[cC]ite[a-z]{0,12}")
_LINE_BROKEN = re.compile(r"\*?(?:[ \t]*\[[^\[\]\n]{0,40}\])?")
_THOUSANDS = re.compile(r"\d{3}(?!\d)")
_VERBATIM = re.compile(r"\*?(?P<mark>[^\sA-Za-z*])(?P<said>[^\n]{0,1000}?)(?P=mark)")
_FILE = re.compile(r"\d*[ \t]*(?:\{(?P<group>[^{}\n]{0,300})\}|(?P<bare>[^\s{}\\]{1,300}))?")
_PLAIN = re.compile(r"[\w.]{1,12}")
_DELIMITER = re.compile(r"(?:left|right|middle|[bB]igg?[lrm]?)")
_RULE = re.compile(r"(?:\([a-z]{1,4}\))?")


def command(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    """Of one with a name."""
    if known := _KNOWN.get(name):
        return known(reader, view, name, start, after)
    if name in reader.macros:
        return expand(reader, view, name, start, after)
    if letter := words.LETTERS.get(name):
        reader.say(letter, view, start, after)
        blanks = _BLANKS.match(view.text, after, view.end)
        return blanks.end() if blanks else after
    if sign_ := words.SIGNS.get(name):
        reader.say(sign_, view, start, after)
        return after
    if name in words.COMBINING:
        return _accent(reader, view, name, start, after)
    if _CITING.fullmatch(name):
        return _cite(reader, view, name, start, after)
    if _DELIMITER.fullmatch(name):
        return after + view.text.startswith(".", after, view.end)
    _, after = reader.arguments(view, after, words.DROPPED.get(name, 0))
    return reader.gone(view, after)


def sign(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    """Of one that is a mark, and of what is raised or lowered."""
    if name in {"^", "_"} and after - start == 1:
        return _script(reader, view, name, start, after)
    if name == "\\":
        broken = _LINE_BROKEN.match(view.text, after, view.end)
        reader.make(reader.table.row() if reader.table and not view.within else " ", view, start, after)
        return broken.end() if broken else after
    if name == ",":
        digit = view.text[start - 1 : start].isdigit()
        reader.say("," if digit and _THOUSANDS.match(view.text, after) else " ", view, start, after)
    elif put := words.ESCAPED.get(name):
        reader.say(put, view, start, after)
    elif name in words.COMBINING:
        return _accent(reader, view, name, start, after)
    return after


def _script(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    argument = reader.argument(view, after)
    if argument is None:
        return after
    said = reader.said(view, argument[:2]).strip()
    if said in {"∘", "°"}:
        said = "°"
    elif said.strip("′"):
        said = small(said, "raised" if name in {"^", "textsuperscript", "sp"} else "lowered")
    reader.say(said, view, start, argument[2])
    return argument[2]


def _accent(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    argument = reader.argument(view, after)
    said = reader.said(view, argument[:2]).replace("ı", "i") if argument else ""
    if argument is None or not said:
        return after
    reader.say(unicodedata.normalize("NFC", said[0] + words.COMBINING[name] + said[1:]), view, start, argument[2])
    return argument[2]


def _heading(mark: str, reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1)
    if given:
        silent, reader.silent = reader.silent, reader.silent and name != "title"
        reader.make(f"\n\n{mark}", view, start, start + 1)
        reader.inside(view, given[0], flat=True)
        reader.make("\n\n", view, after - 1, after)
        reader.silent = silent
    return after


def _caption(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1)
    if given:
        number = reader.captions[reader.float] = reader.captions.get(reader.float, 0) + 1
        table, reader.table = reader.table, None  # of a long table, it stands among its rows
        reader.make(f"\n\n{reader.float} {number}: ", view, start, start + 1)
        reader.inside(view, given[0], flat=True)
        reader.make("\n" if table else "\n\n", view, after - 1, after)
        reader.table = table
    return after


def _cite(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1)
    if given and name != "nocite":
        keys = [key.strip() for key in view.text[slice(*given[0])].split(",")]
        numbers = [reader.cited.setdefault(key, len(reader.cited) + 1) for key in keys if key]
        reader.say(f"[{','.join(map(str, numbers))}]", view, start, after)
    return after


def _refer(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1)
    if given:
        reader.say(f"[{' '.join(view.text[slice(*given[0])].split())}]", view, start, after)
    return after


def _note(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1)
    if given:
        reader.say(" (", view, start, start + 1)
        reader.inside(view, given[0], flat=True)
        reader.say(")", view, after - 1, after)
    return after


def _fraction(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 2)
    if len(given) < 2:
        return after
    above, below = given
    if all(_PLAIN.fullmatch(view.text[slice(*each)]) for each in given):
        reader.say(f"{view.text[slice(*above)]}/{view.text[slice(*below)]}", view, start, after)
        return after
    reader.say("(", view, start, start + 1)
    reader.inside(view, above)
    reader.say(")/(", view, above[1], above[1] + 1)
    reader.inside(view, below)
    reader.say(")", view, after - 1, after)
    return after


def _measure(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1 if name == "ang" else 2)
    for place, each in enumerate(given):
        if place:
            reader.say(" ", view, each[0] - 1, each[0])
        reader.inside(view, each)
    reader.say("°" if name == "ang" else "", view, after - 1, after)
    return after


def _address(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1)
    if given and given[0][0] < given[0][1]:
        reader.copy(view, *given[0])
        reader.say(" " if name == "href" else "", view, after - 1, after)
    return after


def _verbatim(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    found = _VERBATIM.match(view.text, after, view.end)
    if found is None:
        return after
    if found["said"]:
        reader.copy(view, *found.span("said"))
    return found.end()


def _columns(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 3)
    if len(given) == 3:
        said = view.text[slice(*given[0])].strip()
        reader.inside(view, given[2])
        more = min(int(said), 50) - 1 if said.isascii() and said.isdigit() else 0
        reader.make("".join(reader.table.cell() for _ in range(more)) if reader.table else "", view, after - 1, after)
    return after


def _own_lines(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    given, after = reader.arguments(view, after, 1)
    if given:
        reader.inside(view, given[0], within=True)
    return after


def _rule(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    trimmed = _RULE.match(view.text, after, view.end)
    _, after = reader.arguments(view, trimmed.end() if trimmed else after, 1)
    return reader.gone(view, after)


def _outside(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    """A file that is not here, or a program that is not run."""
    found = _FILE.match(view.text, after, view.end)
    after = found.end() if found else after
    said = view.text[start:after][:200]
    reader.leave_out(LeftOut("other_file", said) if name in words.FILES else LeftOut("not_run", said))
    return reader.gone(view, after)


def _hidden(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    close = -1 if name in reader.endless else view.text.find("\\fi", after, view.end)
    if close < 0:
        reader.endless.add(name)
        return after
    return reader.gone(view, close + len("\\fi"))


def _says(what: str, reader: Reader, view: View, name: str, start: int, after: int) -> int:
    what = " " if "\n" in what and (view.flat or reader.table) else what
    reader.make(what, view, start, after)
    return after


_KNOWN: dict[str, Command] = {
    "begin": begin,
    "end": end,
    "title": partial(_heading, ""),
    **dict.fromkeys(words.SECTIONS, partial(_heading, "# ")),
    **dict.fromkeys(words.PARTS, partial(_heading, "")),
    "abstract": partial(_says, "\n\n# Abstract\n\n"),
    "appendix": partial(_says, "\n\n# Appendix\n\n"),
    "acknowledgments": partial(_says, "\n\n# Acknowledgements\n\n"),
    "acknowledgements": partial(_says, "\n\n# Acknowledgements\n\n"),
    "item": partial(_says, "\n- "),
    "par": partial(_says, "\n\n"),
    **dict.fromkeys(("quad", "qquad", "space", "enspace", "newline", "linebreak", "hfill", "and"), partial(_says, " ")),
    "caption": _caption,
    **dict.fromkeys(words.REFERENCES, _refer),
    **dict.fromkeys(("footnote", "footnotetext", "tablefootnote"), _note),
    **dict.fromkeys(words.FRACTIONS, _fraction),
    **dict.fromkeys(words.MEASURES, _measure),
    **dict.fromkeys(words.SCRIPTS, _script),
    **dict.fromkeys(("url", "href", "path", "nolinkurl"), _address),
    "verb": _verbatim,
    "lstinline": _verbatim,
    "multicolumn": _columns,
    **dict.fromkeys(("makecell", "shortstack", "thead"), _own_lines),
    **dict.fromkeys(("cmidrule", "cline"), _rule),
    **dict.fromkeys(
        ("newcommand", "renewcommand", "providecommand", "DeclareRobustCommand", "DeclareMathOperator", "def"), define
    ),
    **dict.fromkeys((*words.FILES, *words.RUNNING), _outside),
    "iffalse": _hidden,
}
