"""Raised and lowered characters: 10 with a raised 5 is 10⁵, and never 105."""

import re
from typing import Literal

_RAISED = str.maketrans("0123456789+-−–()n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻⁽⁾ⁿ")
_LOWERED = str.maketrans("0123456789+-−()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₍₎")
_PLAIN = re.compile(r"[0-9A-Za-z+\-−]")


def small(said: str, where: Literal["raised", "lowered"]) -> str:
    """With characters that are raised or lowered themselves; where some have none, as ^(…) or _(…)."""
    if "[" in said or not said.strip():
        return said
    changed = said.translate(_RAISED if where == "raised" else _LOWERED)
    return f"{'^' if where == 'raised' else '_'}({said})" if _PLAIN.search(changed) else changed
