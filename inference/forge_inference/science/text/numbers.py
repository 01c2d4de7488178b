"""Numbers that a text states, with their values: signs, thousands, powers of ten in every way papers write them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from forge_inference.science.text.document import Span

_MINUS = "−–-"
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_NUMBER = re.compile(
    rf"(?<![\w.^])(?<![A-Za-zα-ωΑ-Ω][{_MINUS}])(?P<sign>(?<![\w)\]%°′']) ?[+{_MINUS}] ?|(?<=±))?"
    rf"(?:(?P<digits>\d{{1,3}}(?:,\d{{3}})+(?!\d)(?:\.\d+)?|\d{{1,30}}(?:\.\d{{1,30}})?|\.\d{{1,30}})"
    rf"(?:\ ?[×x*·⋅]\ ?10(?:\^?[({{]?(?P<power>[+{_MINUS}]?\d{{1,3}})[)}}]?|(?P<raised>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{{1,3}}))"
    rf"|[eE](?P<exponent>[+{_MINUS}]?\d{{1,3}})(?!\w)"
    r"|(?<=10)(?P<tens>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3})"
    rf"|(?<=10)\^[({{]?(?P<caret>[+{_MINUS}]?\d{{1,3}})[)}}]?)?)(?P<percent>\ ?%)?"
)


@dataclass(frozen=True, slots=True)
class Number:
    """`value` is what the digits say; 5 % is 5, with `percent`."""

    span: Span
    value: Decimal
    percent: bool = False


def numbers(text: str) -> Iterator[Number]:
    """In their order. Digits that belong to a name (p53, IL-6, H3K27ac) are none."""
    for found in _NUMBER.finditer(text):
        value = _value(found)
        if value is None:
            continue
        start = found.start() + len(found[0]) - len(found[0].lstrip())
        yield Number(Span(start, found.end()), value, bool(found["percent"]))


def _value(found: re.Match[str]) -> Decimal | None:
    digits = found["digits"].replace(",", "")
    whole = found["tens"] or found["caret"]
    power = found["power"] or found["exponent"] or found["raised"] or whole or "0"
    exponent = int(re.sub(f"[{_MINUS}]", "-", power.translate(_RAISED)))
    try:
        value = Decimal(1 if whole and digits == "10" else digits) * Decimal(10) ** exponent
    except InvalidOperation:
        return None
    return -value if (found["sign"] or "").strip()[:1] in tuple(_MINUS) else value
