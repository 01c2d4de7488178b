"""Names that fit, and that do not collide."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_operator.children.shape import child_name, labels
from tests.support.models import a_model

RESOURCE_NAME = st.from_regex(
    r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?){0,4}", fullmatch=True
)


@pytest.mark.parametrize("name", ["a", "hbb-expert", "a" * 52])
def test_a_name_that_fits_stays_as_it_is(name: str) -> None:
    assert child_name(name) == name


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("a" * 53, "a" * 53), ("v1.2", "v1-2"), ("7b-model", "b-model"), ("1.2.3", "model"), ("a" * 253, "a" * 54)],
)
def test_any_other_keeps_a_readable_prefix_and_8_digits_of_its_hash(name: str, prefix: str) -> None:
    assert re.fullmatch(re.escape(prefix) + "-[0-9a-f]{8}", child_name(name))


def test_names_equal_in_their_first_63_characters_do_not_collide() -> None:
    assert child_name("a" * 63 + "x") != child_name("a" * 63 + "y")


@given(RESOURCE_NAME.filter(lambda name: len(name) <= 253))
def test_every_name_becomes_a_dns_label_that_begins_with_a_letter(name: str) -> None:
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", child_name(name))


def test_label_values_fit_even_when_the_name_does_not() -> None:
    assert all(len(value) <= 63 for value in labels(a_model(name="n" * 253)).values())
