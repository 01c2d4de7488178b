"""Text leaves the engine in whole characters, and never beyond a stop string."""

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from forge_inference.engine.text import TextStream
from tests.inference.engine.tiny import VOCABULARY, a_base


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    folder = a_base(tmp_path_factory.mktemp("base") / "model")
    return SimpleNamespace(backend_tokenizer=Tokenizer.from_file(str(folder / "tokenizer.json")))


def _pieces(tokenizer: SimpleNamespace, ids: list[int], *stop: str) -> tuple[list[str], bool]:
    stream = TextStream(tokenizer, stop)
    pieces = []
    for token in ids:
        pieces.append(stream.add(token))
        if stream.stopped:
            return pieces, True
    return [*pieces, stream.end()], False


def test_pieces_of_a_sentence_make_up_the_sentence(tokenizer: SimpleNamespace) -> None:
    text = "β-globin → the protein binds: naïve 中文 🧬."
    ids = tokenizer.backend_tokenizer.encode(text).ids
    pieces, _ = _pieces(tokenizer, ids)
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_text_that_may_begin_a_stop_string_is_held_back_until_it_is_clear(tokenizer: SimpleNamespace) -> None:
    ids = tokenizer.backend_tokenizer.encode("a\nQ").ids + tokenizer.backend_tokenizer.encode(": b").ids
    assert _pieces(tokenizer, ids, "\nQ?") == (["a", "", "", "\nQ:", " ", "b", ""], False)
    assert _pieces(tokenizer, ids, "\nQ:") == (["a", "", "", ""], True)
    assert _pieces(tokenizer, ids, "\nQ: b!", "a\nQ") == (["", "", ""], True)


def test_what_is_held_back_at_the_end_is_shown(tokenizer: SimpleNamespace) -> None:
    ids = tokenizer.backend_tokenizer.encode("x#").ids
    assert _pieces(tokenizer, ids, "##") == (["x", "", "#"], False)


@settings(max_examples=200, deadline=None)
@given(text=st.text("ab", max_size=30), stop=st.lists(st.text("ab", min_size=1, max_size=4), max_size=3))
def test_what_is_shown_is_the_text_up_to_the_first_stop_string(
    tokenizer: SimpleNamespace, text: str, stop: list[str]
) -> None:
    ids = [tokenizer.backend_tokenizer.token_to_id(letter) for letter in text]
    pieces, stopped = _pieces(tokenizer, ids, *stop)
    # The stop string that is complete first, letter by letter.
    end = min((at + len(word) for word in stop if (at := text.find(word)) >= 0), default=None)
    expected = text if end is None else text[: min(at for word in stop if (at := text[:end].find(word)) >= 0)]
    assert ("".join(pieces), stopped) == (expected, end is not None)


@settings(max_examples=300, deadline=None)
@given(ids=st.lists(st.integers(0, VOCABULARY - 1), max_size=40))
def test_no_sequence_of_tokens_breaks_the_stream(tokenizer: SimpleNamespace, ids: list[int]) -> None:
    pieces, _ = _pieces(tokenizer, ids)
    whole = tokenizer.backend_tokenizer.decode(ids)
    # Bytes at the end that are no whole character are not shown.
    assert whole.rstrip("\ufffd").startswith("".join(pieces).rstrip("\ufffd"))
