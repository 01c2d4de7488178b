"""A long paper is read by a process of its own, which ends with whoever asked for it."""

import asyncio

import psutil
import pytest

from forge_inference.science.papers import rules
from forge_inference.science.papers.rules import Rules, Wish
from forge_inference.science.papers.source import Source, Unreadable
from tests.science.papers.forms import forty_pages, sent_as
from tests.support.waiting import until

WISH = Wish(frozenset({"methodology", "benchmarks", "limitations"}), "utf16", strip_citations=True)


@pytest.fixture(scope="module")
def long() -> Source:
    return Source("text", sent_as("text", forty_pages())["text"])


def _readers() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "forge_inference.science.papers.program" in each.cmdline()]


async def test_it_finds_what_rules_find_here(long: Source) -> None:
    found, here = await rules.read(long, WISH), rules.rules(long, WISH)
    for name in set(Rules.__dataclass_fields__) - {"paper"}:
        assert getattr(found, name) == getattr(here, name), name
    assert found.paper.sentences == here.paper.sentences
    assert len(found.paper.sentences) > 500


async def test_who_leaves_ends_it(long: Source) -> None:
    reading = asyncio.create_task(rules.read(long, WISH))
    await asyncio.to_thread(until, _readers, limit=30, what="a process reads")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert not _readers()


async def test_one_that_takes_too_long_is_refused(long: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_LONGEST", 0.01)
    with pytest.raises(Unreadable, match="send a part of it") as caught:
        await rules.read(long, WISH)
    assert caught.value.code == "too_slow"
    assert not _readers()


async def test_an_error_of_it_is_told_without_the_text(long: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_PROGRAM", "json.tool")
    with pytest.raises(RuntimeError, match=r"^the reader of a paper ended \(1\): Expecting value$"):
        await rules.read(long, WISH)
