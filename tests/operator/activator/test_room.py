"""Bounds of what waits."""

from contextlib import ExitStack

import pytest

from forge_operator.activator import room
from forge_operator.activator.room import Full, Room
from forge_operator.activator.table import Place

ONE, OTHER = Place("lab", "one"), Place("lab", "other")


def test_a_model_has_so_many_seats_and_another_model_its_own() -> None:
    waiting = Room(2)
    with waiting.waiting(ONE), waiting.waiting(ONE):
        with pytest.raises(Full, match="2 requests wait"), waiting.waiting(ONE):
            pass
        with waiting.waiting(OTHER):
            assert waiting.held() == 3
    assert waiting.held() == 0
    assert not waiting.waits_for(ONE)


def test_a_seat_is_free_again_whatever_happened() -> None:
    waiting = Room(1)
    with pytest.raises(ZeroDivisionError), waiting.waiting(ONE):
        raise ZeroDivisionError
    with waiting.waiting(ONE):
        assert waiting.waits_for(ONE)


def test_all_models_together_have_so_many_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_OPEN", 3)
    waiting = Room(100)
    with ExitStack() as entered:
        for _ in range(3):
            entered.enter_context(waiting.entered())
        with pytest.raises(Full), waiting.entered():
            pass
    assert waiting.open == 0


def test_bodies_have_so_much_memory_and_give_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MOST_BYTES", 10)
    waiting = Room(100)
    with waiting.keeping() as keep:
        keep(6)
        with waiting.keeping() as another:
            another(4)
            with pytest.raises(Full, match="bytes"):
                another(1)
        keep(4)
    assert waiting.bytes == 0
