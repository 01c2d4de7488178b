"""What a paper defines: a macro stands for its text, with its arguments in their places."""

import re
from array import array
from itertools import repeat

from forge_inference.science.papers.latex.reader import Reader
from forge_inference.science.papers.latex.view import View
from forge_inference.science.papers.source import Unreadable
from forge_inference.science.text.traced import Traced

_MOST_USES, _MOST_EXPANDED = 20_000, 1_000_000  # of all macros; characters that come of them

_NAME = re.compile(
    r"\*?\s*\{?\s*\\(?P<name>[A-Za-z@]+)\s*\}?\s*(?:\[(?P<count>\d)\]\s*)?(?:\[(?P<default>[^\[\]]{0,300})\]\s*)?"
    r"(?P<given>(?:#\d)*)"
)
_PARAMETER = re.compile(r"#(\d)")
_BLANKS = re.compile(r"[ \t]*")


def define(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    r"""\newcommand, \def and their like. What this reader knows itself stays as it is."""
    found = _NAME.match(view.text, after, view.end)
    body = reader.argument(view, found.end()) if found else None
    if found is None or body is None:
        return after
    count = int(found["count"] or len(found["given"]) // 2)
    reader.macros[found["name"]] = (count, found["default"], view.text[body[0] : body[1]])
    return reader.gone(view, body[2])


def expand(reader: Reader, view: View, name: str, start: int, after: int) -> int:
    """Say what a macro stands for. Raises Unreadable when that never ends."""
    count, default, body = reader.macros[name]
    given = list[tuple[int, int]]()
    if count:
        given, after = reader.arguments(view, after, count - (default is not None))
    elif "\\xspace" not in body:
        blanks = _BLANKS.match(view.text, after, view.end)
        after = blanks.end() if blanks else after
    meant = _filled(view, body, default, given, (start, after))
    reader.uses += 1
    reader.expanded += len(meant.text)
    if reader.uses > _MOST_USES or reader.expanded > _MOST_EXPANDED:
        raise Unreadable("bad_latex", f"its macros are used more than {_MOST_USES} times, or stand for too much")
    reader.run(View.of(meant, view.depth + 1, flat=view.flat, within=view.within), 0)
    return after


def _filled(view: View, body: str, default: str | None, given: list[tuple[int, int]], used: tuple[int, int]) -> Traced:
    """The body was made of the macro's use; an argument is what it is, if arguments stand in their order."""
    start, end = view.starts[used[0]], view.ends[used[1] - 1]
    first = 1 if default is None else 2  # the number of what is given first
    order = [int(number) for number in _PARAMETER.findall(body) if int(number) >= first]
    in_order = order == sorted(set(order))
    text, starts, ends = list[str](), array("I"), array("I")
    for place, piece in enumerate(_PARAMETER.split(body)):
        at = int(piece) - first if place % 2 else None
        argument = slice(*given[at]) if at is not None and 0 <= at < len(given) else slice(0, 0)
        said = piece if at is None else (default or "") if at == -1 else view.text[argument]
        text.append(said)
        if at is not None and at >= 0 and in_order:
            starts += view.starts[argument]
            ends += view.ends[argument]
        else:
            starts.extend(repeat(start, len(said)))
            ends.extend(repeat(end, len(said)))
    return Traced(view.text, "".join(text), starts, ends)
