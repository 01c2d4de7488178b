"""Reads LaTeX from its first character to its last, and asks others what each command says."""

import re
from collections.abc import Callable
from dataclasses import replace

from forge_inference.science.papers.latex.view import Table, View, Written
from forge_inference.science.papers.source import LeftOut, Unreadable
from forge_inference.science.text.traced import Traced

_DEEPEST = 40  # commands within each other's arguments
_MOST_TOKENS = 200_000  # commands, braces and marks: of ten pages a paper has some 5,000
_MOST_LEFT_OUT = 100  # are told

_TOKEN = re.compile(
    r"%[^\n]*+(?:\n[ \t]*+(?!\n)|)"  # a comment takes its line's end with it, unless a blank line follows
    r"|\\(?P<word>[A-Za-z@]+)|\\(?P<sign>.?)|``|''|-{2,3}|[{}$~&#^_`]",
    re.DOTALL,
)
_MARKS = {"~": " ", "``": "“", "''": "”", "`": "‘", "--": "–", "---": "—"}
_CONTROL = re.compile(r"\\(?:[A-Za-z@]+|.)", re.DOTALL)
_GAP = re.compile(r"[ \t]*+(?:\n[ \t]*+(?!\n))?")
_LINE_END = re.compile(r"[ \t]*+\n")
_OPTIONS = re.compile(r"\*?(?:\[[^\[\]]{0,300}\])*")

Command = Callable[["Reader", View, str, int, int], int]
"""Of the command with this name, which stands between these places: says what it says, and where to go on."""


class Reader:
    """`text` is what was made of the paper; `left_out` what it asked for and is not there."""

    def __init__(self, sent: str, command: Command, sign: Command) -> None:
        self.sent = sent
        self._command, self._sign = command, sign
        self.out = Written()
        self.silent = "\\begin{document}" in sent  # what stands before it is no text
        self.table: Table | None = None
        self.macros: dict[str, tuple[int, str | None, str]] = {}  # parameters, what the first is if not given, body
        self._tokens = 0
        self.uses = self.expanded = 0  # of macros, and the characters that came of them
        self.cited: dict[str, int] = {}
        self.captions: dict[str, int] = {}
        self.float = "Figure"
        self.endless: set[str] = set()  # what is begun and ends nowhere
        self.left_out: list[LeftOut] = []

    def read(self) -> Traced:
        """Raises Unreadable."""
        self.run(View.of(Traced(self.sent)), 0)
        return self.out.traced(self.sent)

    def run(self, view: View, at: int) -> None:
        """Say what stands from here to the view's end."""
        if view.depth > _DEEPEST:
            raise Unreadable("bad_latex", f"its commands stand within each other more than {_DEEPEST} deep")
        while at < view.end:
            token = _TOKEN.search(view.text, at, view.end)
            stop = token.start() if token else view.end
            if stop > at:
                self.copy(view, at, stop)
            at = self._token(view, token) if token else view.end

    def _token(self, view: View, token: re.Match[str]) -> int:
        self._tokens += 1
        if self._tokens > _MOST_TOKENS:
            raise Unreadable("bad_latex", f"it has more than {_MOST_TOKENS} commands and marks: it is no paper")
        said, start, after = token[0], token.start(), token.end()
        if word := token["word"]:
            return self._command(self, view, word, start, after)
        if token["sign"] is not None or said in {"^", "_"}:
            return self._sign(self, view, said.removeprefix("\\"), start, after)
        if said == "&":
            self.make(self.table.cell() if self.table and not view.within else " ", view, start, after)
        elif mark := _MARKS.get(said):
            self.say(mark, view, start, after)
        return after

    def copy(self, view: View, start: int, end: int) -> None:
        """Say it as it stands."""
        said = view.text[start:end]
        if view.flat or self.table:
            said = said.replace("\n", " ")
        if self.table:
            said = said.replace("|", "∣")
            if said.strip():
                self.make(self.table.open(), view, start, start + 1)
            elif not self.table.is_open:
                return
        if not self.silent:
            self.out.add(said, view.starts[start:end], view.ends[start:end])

    def say(self, said: str, view: View, start: int, end: int) -> None:
        """Something that was made of all that stands between."""
        self.make((self.table.open() if self.table and said.strip() else "") + said, view, start, end)

    def make(self, said: str, view: View, start: int, end: int) -> None:
        """The same, of what divides cells and rows."""
        if said and not self.silent:
            self.out.make(said, view.starts[start], view.ends[end - 1])

    def gone(self, view: View, after: int) -> int:
        """Where to go on behind what says nothing: a line that it had for itself is no blank line."""
        line = _LINE_END.match(view.text, after, view.end)
        return line.end() if line and self.out.ends_line else after

    def argument(self, view: View, at: int) -> tuple[int, int, int] | None:
        """Where the next one begins and ends, and where to go on: a group, a command or a character."""
        at = _end(_GAP, view, at)
        if at >= view.end or view.text[at] == "}":
            return None
        if view.text[at] == "{":
            close = view.braces.get(at, view.end)
            return (at + 1, close, close + 1) if close < view.end else None
        control = _CONTROL.match(view.text, at, view.end)
        if control is None:
            return at, at + 1, at + 1
        close = view.braces.get(control.end(), view.end)
        stop = close + 1 if close < view.end else control.end()
        return at, stop, stop

    def arguments(self, view: View, at: int, count: int) -> tuple[list[tuple[int, int]], int]:
        """As many as there are, up to `count`, and where to go on; a star and options are passed over."""
        found = list[tuple[int, int]]()
        at = _end(_OPTIONS, view, at)
        for _ in range(count):
            one = self.argument(view, at)
            if one is None:
                break
            found.append(one[:2])
            at = one[2] if len(found) == count else _end(_OPTIONS, view, one[2])
        return found, at

    def inside(self, view: View, argument: tuple[int, int], *, flat: bool = False, within: bool = False) -> None:
        """Say what an argument says."""
        start, end = argument
        flat, within = view.flat or flat, view.within or within
        self.run(replace(view, end=end, depth=view.depth + 1, flat=flat, within=within), start)

    def said(self, view: View, argument: tuple[int, int]) -> str:
        """What an argument would say."""
        kept = self.out, self.table, self.silent
        self.out, self.table, self.silent = Written(), None, False
        try:
            self.inside(view, argument, flat=True)
            return self.out.traced("").text
        finally:
            self.out, self.table, self.silent = kept

    def leave_out(self, left: LeftOut) -> None:
        if len(self.left_out) < _MOST_LEFT_OUT:
            self.left_out.append(left)


def _end(pattern: re.Pattern[str], view: View, at: int) -> int:
    """Where what matches here, if only nothing, ends."""
    found = pattern.match(view.text, at, view.end)
    return found.end() if found else at
