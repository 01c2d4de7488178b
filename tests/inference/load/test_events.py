"""Server-sent events, cut into pieces anywhere."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.load.events import LONGEST, Events, Garbage

datas = st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1), max_size=6)


@settings(deadline=None)
@given(datas=datas, end=st.sampled_from(["\n", "\r\n", "\r"]), cuts=st.lists(st.integers(0, 400), max_size=20))
def test_pieces_of_any_size_give_the_same_events(datas: list[str], end: str, cuts: list[int]) -> None:
    whole = "".join(f": note{end}event: x{end}data: {data}{end}{end}" for data in datas).encode()
    places = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    events = Events()
    found = [data for a, b in pairwise(places) for data in events.fed(whole[a:b])]
    found += events.fed(b"\n")  # a last \r could have been half of an end
    assert found == datas


def test_lines_of_one_event_are_joined_and_an_event_without_data_is_none() -> None:
    assert Events().fed(b"data: a\ndata:b\n\nevent: ping\n\ndata\n\n") == ["a\nb", ""]


@pytest.mark.parametrize("content", [b"data: \xff\n", b"oops: 1\n", b"<html>\n", b"x" * (LONGEST + 1)])
def test_what_is_no_stream_of_events_is_garbage(content: bytes) -> None:
    with pytest.raises(Garbage):
        Events().fed(content)
