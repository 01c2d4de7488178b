"""Reported tests, recomputed."""

import time

import pytest

from forge_inference.science.papers.distributions import two_sided_r, two_sided_t, two_sided_z, upper_chi2, upper_f
from forge_inference.science.papers.statistics import Decision, recomputed

# As SciPy 1.17 computes them.
_TAILS = [
    (two_sided_t(2.2, 28), 0.03622548477883782),
    (two_sided_t(0.1, 1), 0.936548965138893),
    (two_sided_t(12.0, 3), 0.0012450158007893362),
    (two_sided_t(1.96, 5000), 0.050051252291819504),
    (upper_f(5.31, 2, 42), 0.008791589053733442),
    (upper_f(1.92, 3, 60), 0.13596005814409834),
    (upper_f(41.2, 3, 16), 9.420695623443497e-08),
    (upper_f(0.0, 3, 16), 1.0),
    (upper_chi2(4.02, 1), 0.044963713538768775),
    (upper_chi2(3.3, 4), 0.5089322578449987),
    (upper_chi2(0.0, 4), 1.0),
    (two_sided_r(0.41, 22), 0.046610233002835906),
    (two_sided_r(-0.34, 62), 0.005981402580863382),
    (two_sided_r(1.0, 10), 0.0),
    (two_sided_z(-2.1), 0.035728841125633085),
]


@pytest.mark.parametrize(("computed", "reference"), _TAILS)
def test_tail_probabilities_are_those_of_the_reference(computed: float, reference: float) -> None:
    assert computed == pytest.approx(reference, rel=1e-6)


_CASES: list[tuple[str, Decision]] = [
    # Each test, as the APA's manual writes it.
    ("t(28) = 2.20, p = .036", "consistent"),
    ("F(2, 42) = 5.31, p = .009", "consistent"),
    ("r(22) = .41, p = .047", "consistent"),
    ("χ²(1, N = 48) = 4.02, p = .045", "consistent"),
    ("z = 2.10, p = .036", "consistent"),
    ("z = −2.10, p = .036", "consistent"),
    ("r(62) = −.34, p = .006", "consistent"),
    # As others write it.
    ("t28 = 2.20, P = 0.036", "consistent"),
    ("F2,42 = 5.31, P = 0.009", "consistent"),
    ("F(1,36)=4.87; P=0.034", "consistent"),
    ("χ2(1) = 4.02, p = 0.045", "consistent"),
    ("chi-square(1) = 4.02, p = 0.045", "consistent"),
    ("X2 (2) = 7.15, p = .028", "consistent"),
    ("χ²(2, N = 1,024) = 7.15, p = .028", "consistent"),
    ("t(28) = 2.20, p-value = .036", "consistent"),
    ("t(28) = 2.20, d = 0.80, p = .036", "consistent"),
    ("t(28) = 2.20, 95% CI [0.1, 1.9], p = .036", "consistent"),
    ("F(2, 42) = 5.31, η² = .20, p = .009", "consistent"),
    ("t(28) = 2.20, two-sided p = .036", "consistent"),
    ("r(48) = .52, p = 1.1 × 10⁻⁴", "consistent"),
    ("r(48) = .52, p = 1.1e-4", "consistent"),
    ("t(12.7) = 2.1, p > .05", "consistent"),
    # Both are rounded: 2.2 may be 2.15 or 2.25, and .04 may be .036.
    ("t(28) = 2.2, p = .04", "consistent"),
    ("t(28) = 2.2, p = .033", "consistent"),
    ("t(28) = 2.20, p = .034", "inconsistent"),
    ("z = 1.96, p = .05", "consistent"),
    ("z = 2.0, p = .05", "consistent"),
    ("z = 2, p = .10", "consistent"),
    # Signs of comparison.
    ("t(28) = 2.20, p < .05", "consistent"),
    ("t(28) = 2.20, p ≤ .05", "consistent"),
    ("t(28) = 2.20, p < .04", "consistent"),
    ("t(28) = 2.20, p < .01", "inconsistent"),
    ("t(28) = 2.20, p < .001", "inconsistent"),
    ("t(28) = 2.20, p > .05", "decision_error"),
    ("t(28) = 2.20, p > .01", "consistent"),
    ("t(18) = 1.34, p < .05", "decision_error"),
    ("t(18) = 1.34, p > .05", "consistent"),
    ("t(18) = 1.34, p < .10", "inconsistent"),
    ("F(3, 16) = 41.2, p < .001", "consistent"),
    # Wrong, without and with another conclusion.
    ("t(28) = 2.75, p = .02", "inconsistent"),
    ("t(28) = 2.75, p = .10", "decision_error"),
    ("t(20) = 0.97, p = .034", "decision_error"),
    ("χ²(1) = 1.08, p = .029", "decision_error"),
    ("F(3, 60) = 1.92, p = .136", "consistent"),
    ("F(3, 60) = 1.92, p = .036", "decision_error"),
    ("r(38) = .29, p = .069", "consistent"),
    ("r(38) = .29, p = .049", "decision_error"),
    ("z = 2.10, p = .052", "decision_error"),
    ("z = 3.29, p = .01", "inconsistent"),
    ("t(10) = 9.00, p = .000", "inconsistent"),
    # One-sided only where it is said.
    ("In one-tailed tests, t(46) = 1.71, p = .047", "consistent"),
    ("The test was one-sided: z = 1.70, p = .045", "consistent"),
    ("t(46) = 1.71, p = .047", "decision_error"),
]


@pytest.mark.parametrize(("text", "decision"), _CASES)
def test_a_reported_test_is_judged_as_statcheck_judges_it(text: str, decision: Decision) -> None:
    [found] = recomputed(text)
    assert found.decision == decision, found


def test_what_would_fit_a_one_sided_test_is_said_to() -> None:
    [found] = recomputed("t(46) = 1.71, p = .047")
    assert found.note is not None
    assert "one-sided" in found.note
    assert found.tail == "two-sided"


@pytest.mark.parametrize(
    "text",
    [
        "t = 2.20, p = .036",  # no degrees of freedom
        "r(22) = 1.41, p = .047",  # no correlation
        "F(2) = 5.31, p = .009",
        "t(0) = 5.31, p = .009",
        "χ²(1) = −4.02, p = .045",
        "mint(28) = 2.20, p = .036",  # the end of a word
        "t(28) = 2.20, as before. Here p = .036",
    ],
)
def test_what_cannot_be_recomputed_is_not_judged(text: str) -> None:
    assert recomputed(text) == []


@pytest.mark.parametrize(
    "piece",
    ["t(", "t(28) = 1", "F(1,", "z = 1, ", "r (1 ", "chi 2", "z = 1, d = 1, ", "χ²(1, N = 1,1,", "t(1) = 1, p "],
)
def test_no_text_makes_it_slow(piece: str) -> None:
    before = time.process_time()
    recomputed(piece * (200_000 // len(piece)))
    assert time.process_time() - before < 2
