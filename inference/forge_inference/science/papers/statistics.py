"""Whether a reported p-value can follow from its test statistic and degrees of freedom.

Both are rounded in print, so the statistic is taken as anything that rounds to what is printed. Nothing is said of
whether the test was the right one.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from forge_inference.science.papers.distributions import two_sided_r, two_sided_t, two_sided_z, upper_chi2, upper_f
from forge_inference.science.text.document import Span
from forge_inference.science.text.numbers import numbers

Test = Literal["t", "F", "r", "chi2", "z"]
Decision = Literal["consistent", "inconsistent", "decision_error"]
ALPHA = 0.05

_DF = r"\d{1,7}(?:\.\d{1,6})?"
_P = r"(?P<op>[<>=≤≥])\s?(?P<p>\d?\.?\d{1,20}(?:\s?[×x·]\s?10(?:\^?[-−–]\d{1,3}|⁻[⁰¹²³⁴-⁹]{1,3})|[eE][-−]\d{1,3})?)"
# What may stand between the statistic and its p-value: effect sizes, an interval.
_BETWEEN = (
    r"(?:[,;]\s?(?:(?![pP]\b)[^\s=<>,;()]{1,20}(?:\s[^\s=<>,;()]{1,12})?\s?=\s?[-−]?\d{0,6}\.?\d{1,6}"
    r"|\d{2}\s?%\s?CI\s?[:=]?\s?[\[(][^\])]{1,40}[\])])){0,3}"
)
_REPORT = re.compile(
    r"(?<![\w.])(?:(?P<t>t)|(?P<F>F)|(?P<r>r)|(?P<chi2>(?:χ|Χ|𝜒|X|chi[- ]?squared?\s?)(?:²|2|\^2|\s2)?)|(?P<z>[zZ]))"
    rf"\s?(?:\(\s?(?P<df1>{_DF})\s?(?:[,;]\s?(?:(?P<df2>{_DF})|N\s?=\s?[\d,]{{1,12}})\s?)?\)"
    r"|(?<=[tFr])(?P<sub1>\d{1,5})(?:,\s?(?P<sub2>\d{1,6}))?)?"
    rf"\s?=\s?(?P<value>[-−–]?\d{{0,7}}\.?\d{{1,6}})(?![\d.]*\d){_BETWEEN}"
    rf"[,;]?\s{{0,2}}(?:(?:two|one)-(?:sided|tailed)\s)?[pP](?:[- ]values?)?\s?{_P}"
)
_ONE_SIDED = re.compile(r"\b(?:one|1)[-‑ ](?:sided|tailed)\b|\bdirectional (?:test|hypothes)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """One reported test. `p` follows from the statistic as printed, `p_range` from all that rounds to it."""

    span: Span
    test: Test
    df: tuple[float, ...]
    statistic: float
    reported: str  # as "= .036"
    p: float
    p_range: tuple[float, float]
    decision: Decision
    tail: Literal["two-sided", "one-sided", "upper"]
    note: str | None


def recomputed(text: str) -> list[Recomputed]:
    """Every test that is reported with statistic, degrees of freedom and p-value, in its order."""
    return [one for found in _REPORT.finditer(text) if (one := _one(text, found)) is not None]


def _one(text: str, found: re.Match[str]) -> Recomputed | None:
    test: Test = next(name for name in ("t", "F", "r", "chi2", "z") if found[name])
    df = tuple(float(found[name]) for name in ("df1", "df2", "sub1", "sub2") if found[name])
    value = found["value"].replace("−", "-").replace("–", "-")
    if not _complete(test, df, float(value)):
        return None
    half = Decimal(1).scaleb(-_places(value)) / 2
    size = abs(Decimal(value))
    tail_of = _TAILS[test]
    p = tail_of(float(size), df)
    least, most = tail_of(float(size + half), df), tail_of(float(max(size - half, Decimal(0))), df)
    reported = _Reported.of(found["op"], found["p"])
    tail: Literal["two-sided", "one-sided", "upper"] = "upper" if test in {"F", "chi2"} else "two-sided"
    note = None
    if tail == "two-sided" and not reported.fits(least, most) and reported.fits(least / 2, most / 2):
        if _ONE_SIDED.search(text, max(0, found.start() - 1500), found.end() + 300):
            tail, p, least, most = "one-sided", p / 2, least / 2, most / 2
        else:
            note = "it would fit a one-sided test, of which nothing is said nearby"
    if reported.value == 0:
        note = "a p-value cannot be 0"
    return Recomputed(
        span=Span(*found.span()),
        test=test,
        df=df,
        statistic=float(value),
        reported=f"{found['op']} {found['p']}",
        p=p,
        p_range=(least, most),
        decision=reported.judged(least, most),
        tail=tail,
        note=note,
    )


def _complete(test: Test, df: tuple[float, ...], value: float) -> bool:
    """Whether there is enough to compute with, and nothing that cannot be."""
    wanted = {"t": 1, "F": 2, "r": 1, "chi2": 1}.get(test)
    if wanted is not None and (len(df) != wanted or min(df) <= 0):
        return False
    return abs(value) <= 1 if test == "r" else test not in {"F", "chi2"} or value >= 0


def _places(printed: str) -> int:
    return len(printed.partition(".")[2])


_TAILS: dict[Test, Callable[[float, tuple[float, ...]], float]] = {
    "t": lambda x, df: two_sided_t(x, df[0]),
    "F": lambda x, df: upper_f(x, df[0], df[1]),
    "r": lambda x, df: two_sided_r(min(x, 1.0), df[0]),
    "chi2": lambda x, df: upper_chi2(x, df[0]),
    "z": lambda x, _: two_sided_z(x),
}


@dataclass(frozen=True, slots=True)
class _Reported:
    """A p-value as printed: `value`, what rounds to it, and its sign of comparison."""

    sign: str
    value: float
    low: float
    high: float

    @staticmethod
    def of(sign: str, printed: str) -> "_Reported":
        value = next(numbers(printed)).value
        mantissa = re.match(r"\d?\.?\d{1,20}", printed)
        exponent = value.adjusted() - Decimal(mantissa[0]).adjusted() if mantissa and value else 0
        half = Decimal(1).scaleb(exponent - _places(mantissa[0] if mantissa else printed)) / 2
        sign = {"≤": "<", "≥": ">"}.get(sign, sign)
        return _Reported(sign, float(value), float(value - half), float(value + half))

    def fits(self, least: float, most: float) -> bool:
        """Whether some p-value between the two would be printed like this one."""
        if self.sign == "<":
            return least < self.value
        if self.sign == ">":
            return most > self.value
        return self.value != 0 and least <= self.high and most >= self.low

    def judged(self, least: float, most: float) -> Decision:
        if self.fits(least, most):
            return "consistent"
        wrong = {True: least > ALPHA, False: most <= ALPHA, None: False}[self._claims()]
        return "decision_error" if wrong else "inconsistent"

    def _claims(self) -> bool | None:
        """Whether it claims significance; None: "p < .10" and "p > .01" claim nothing."""
        if self.sign == "=":
            return self.value <= ALPHA
        if self.sign == "<":
            return True if self.value <= ALPHA else None
        return False if self.value >= ALPHA else None
