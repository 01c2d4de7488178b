"""What begins and ends: the document, tables, floats, and what is no prose."""

import re

from forge_inference.science.papers.latex import words
from forge_inference.science.papers.latex.reader import Reader
from forge_inference.science.papers.latex.view import Table, View

_NAME = re.compile(r"[ \t]*\{(?P<name>[A-Za-z0-9@]{1,40}\*?)\}")


def begin(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    """Where to go on: behind what it is given, or behind its end when it is no prose."""
    found = _NAME.match(view.text, after, view.end)
    if found is None:
        return after
    what = found["name"]
    if what in words.UNREAD:
        return _behind(reader, view, what, found.end())
    if what == "document":
        reader.silent = False
    _, after = reader.arguments(view, found.end(), words.GIVEN.get(what, 0))
    reader.float = words.FLOATS.get(what, reader.float)
    if heading := words.HEADED.get(what):
        reader.make(f"\n\n# {heading}\n\n", view, start, found.end())
    if what in words.TABLES:
        if reader.table is not None:
            reader.table.depth += 1
        else:
            reader.make("\n\n", view, start, found.end())
            reader.table = Table()
    return reader.gone(view, after)


def _behind(reader: Reader, view: View, what: str, at: int) -> int:
    mark = f"\\end{{{what}}}"
    close = -1 if what in reader.endless else view.text.find(mark, at, view.end)
    if close < 0:  # so that a thousand of them are not looked for a thousand times
        reader.endless.add(what)
        return at
    return reader.gone(view, close + len(mark))


def end(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    """Where to go on."""
    found = _NAME.match(view.text, after, view.end)
    if found is None:
        return after
    what = found["name"]
    if what == "document":
        reader.silent = True
    elif what in words.TABLES and reader.table is not None:
        if reader.table.depth:
            reader.table.depth -= 1
        else:
            reader.make(f"{reader.table.row().rstrip()}\n\n", view, start, found.end())
            reader.table = None
    return reader.gone(view, found.end())
