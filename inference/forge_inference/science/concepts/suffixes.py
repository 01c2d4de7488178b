"""Drugs that no table has, told by the stems that the WHO gives to their names."""

import re
from collections.abc import Iterator

from forge_inference.science.concepts.kinds import Mention
from forge_inference.science.text.document import Span

_STEMS = re.compile(
    r"(?<![\w-])[A-Za-z][a-z]{2,20}(?:mab|bartug|tamig|cept|tinib|rafenib|ciclib|parib|zomib|lisib|rasib|degib|metinib"
    r"|vastatin|gliptin|gliflozin|glutide|caftor|sartan|gepant|siran|prazole|navir|tegravir|buvir|mapimod)s?(?![\w-])"
)
_NOT = frozenset(["concept", "percept", "precept", "intercept", "transcept", "incept"])


def drugs_by_name(text: str) -> Iterator[Mention]:
    """Named by an international stem; which substance it is, is not known."""
    for found in _STEMS.finditer(text):
        if found[0].lower().rstrip("s") not in _NOT:
            yield Mention(Span(*found.span()), found[0], "drug", "syntax_only", "rule", notes=("told by its stem",))
