"""Tail probabilities of the tests that papers report. Pure Python: the server's start waits for no library of them."""

import math

_TINY, _ENOUGH = 1e-300, 1e-15
_TERMS = 10_000  # of a fraction or series; what has not settled by then is no number


def two_sided_z(z: float) -> float:
    """P(|Z| ≥ |z|) of a standard normal."""
    return math.erfc(abs(z) / math.sqrt(2))


def two_sided_t(t: float, df: float) -> float:
    """P(|T| ≥ |t|) with `df` degrees of freedom."""
    return _beta(df / 2, 0.5, df / (df + t * t))


def upper_f(f: float, df1: float, df2: float) -> float:
    """P(F ≥ f)."""
    return 1.0 if f <= 0 else _beta(df2 / 2, df1 / 2, df2 / (df2 + df1 * f))


def upper_chi2(x: float, df: float) -> float:
    """P(χ² ≥ x)."""
    return 1.0 if x <= 0 else _gamma(df / 2, x / 2)


def two_sided_r(r: float, df: float) -> float:
    """P(|R| ≥ |r|) of a correlation of df + 2 pairs that are independent."""
    return 0.0 if abs(r) >= 1 else two_sided_t(r * math.sqrt(df / (1 - r * r)), df)


def _beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    # The fraction settles fast only on its own side of the mean.
    if x < (a + 1) / (a + b + 2):
        return front * _beta_fraction(a, b, x) / a
    return 1 - front * _beta_fraction(b, a, 1 - x) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    c, d = 1.0, _inverse(1 - (a + b) * x / (a + 1))
    result = d
    for m in range(1, _TERMS):
        for step in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = _inverse(1 + step * d)
            c = 1 + step / c or _TINY
            result *= d * c
        if abs(d * c - 1) < _ENOUGH:
            return result
    return math.nan


def _gamma(a: float, x: float) -> float:
    """The regularised upper incomplete gamma function Q(a, x)."""
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        for n in range(1, _TERMS):
            term *= x / (a + n)
            total += term
            if term < total * _ENOUGH:
                return 1 - front * total
        return math.nan
    b, c = x + 1 - a, 1 / _TINY
    d = 1 / b
    result = d
    for n in range(1, _TERMS):
        step = -n * (n - a)
        b += 2
        d = _inverse(b + step * d)
        c = b + step / c or _TINY
        result *= d * c
        if abs(d * c - 1) < _ENOUGH:
            return front * result
    return math.nan


def _inverse(x: float) -> float:
    return 1 / (x or _TINY)
