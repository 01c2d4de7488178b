"""Label selectors as Kubernetes writes them in a query: `a=b,c!=d,e in (f,g),h notin (i),j,!k`."""

import re
from collections.abc import Callable, Mapping

Matches = Callable[[Mapping[str, str]], bool]

_KEY, _VALUE = r"[A-Za-z0-9][-A-Za-z0-9_./]{0,315}", r"[-A-Za-z0-9_.]{0,63}"
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s*\(\s*({_VALUE}(?:\s*,\s*{_VALUE})*)\s*\)")
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})")
_EXISTS = re.compile(rf"(!?)\s*({_KEY})")
_BETWEEN = re.compile(r",(?![^(]*\))")  # a comma that is not between brackets
_LONGEST = 4096


def parse(text: str) -> Matches:
    """Raises ValueError, which tells which part is not a selector."""
    if len(text) > _LONGEST:
        raise ValueError(f"a label selector may have {_LONGEST} characters, not {len(text)}")
    requirements = [_requirement(part.strip()) for part in _BETWEEN.split(text)] if text.strip() else []
    return lambda labels: all(requirement(labels) for requirement in requirements)


def _requirement(part: str) -> Matches:
    if found := _SET.fullmatch(part):
        key, how, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        # As Kubernetes has it: a label that is absent is in no set, and so it is `notin` each.
        return lambda labels: (labels.get(key) in values) is (how == "in")
    if found := _EQUAL.fullmatch(part):
        key, how, value = found[1], found[2], found[3]
        return lambda labels: (labels.get(key) == value) is (how != "!=")
    if found := _EXISTS.fullmatch(part):
        key, wanted = found[2], not found[1]
        return lambda labels: (key in labels) is wanted
    raise ValueError(f"{part[:100]!r} is not part of a label selector")
