"""Numbers are read as they were written, and names are no numbers."""

import time
from decimal import Decimal

import pytest

from forge_inference.science.text.numbers import numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("p = .036, n=12 of 1,234.5", [".036", "12", "1234.5"]),
        ("1.5 × 10⁻³ M, 5x10^6, 10⁻⁸, 10^-5, 2e-5, 5.2E−8", ["0.0015", "5e6", "1e-8", "1e-5", "2e-5", "5.2e-8"]),
        ("−0.5 ± 0.2 at -3 °C", ["-0.5", "0.2", "-3"]),
        ("95% CI 1.2–3.4 (0.5-0.9)", ["95", "1.2", "3.4", "0.5", "0.9"]),
        ("t(28) = 2.20; 12,13 and 3.4.", ["28", "2.20", "12", "13", "3.4"]),
        ("p53, IL-6, H3K27ac, COVID-19 and TNF-α1", []),
        ("10⁵ of Ca²⁺ and ¹⁴C in m²", ["1e5"]),
    ],
)
def test_values_are_what_the_digits_mean(text: str, values: list[str]) -> None:
    assert [number.value for number in numbers(text)] == [Decimal(value) for value in values]


def test_a_number_is_quoted_with_its_sign_and_its_percent_sign() -> None:
    text = "fell by − 3.5 % in 10⁻³ M"
    assert [(number.span.of(text), number.percent) for number in numbers(text)] == [("− 3.5 %", True), ("10⁻³", False)]


@pytest.mark.parametrize("part", ["1,234", "1", "1.", "- ", "1 × 10", "1e", "10^"])
def test_a_hostile_text_is_read_in_seconds(part: str) -> None:
    start = time.process_time()
    list(numbers(part * 50_000))
    assert time.process_time() - start < 5
