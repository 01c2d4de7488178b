"""One request: what is sent, what is measured of an answer, and every way in which it fails."""

import asyncio
import socket

import pytest

from forge_inference.load.dialects import Wish
from tests.inference.load.runs import a_load, one, steady, told
from tests.inference.load.server import Asked, serving


async def test_an_answer_is_timed_by_its_tokens_and_counted_as_the_server_counts() -> None:
    record = await one(lambda asked: asked.answer(5, first=0.2, gap=0.1))
    assert record.whole
    assert record.first is not None
    assert 0.2 <= record.first < 0.5
    assert record.per_token is not None
    assert 0.1 <= record.per_token < 0.3
    assert record.whole_in >= 0.6
    assert (record.tokens, record.prompt_tokens, len(record.pieces)) == (5, 7, 5)


async def test_a_server_that_does_not_count_has_its_events_counted() -> None:
    assert (await one(lambda asked: asked.answer(3, usage=False))).tokens == 3


async def test_the_announcement_of_a_role_is_no_token_and_a_thought_is_one() -> None:
    async def script(asked: Asked) -> None:
        await asked.head()
        await asked.event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})
        await asyncio.sleep(0.3)
        await asked.event({"choices": [{"delta": {"reasoning_content": "hm"}}]})
        await asked.event({"choices": [{"delta": {"content": "HBB"}, "finish_reason": "stop"}]})
        await asked.event("[DONE]")

    record = await one(script, api="chat")
    assert record.whole
    assert len(record.pieces) == 2
    assert record.first is not None
    assert record.first >= 0.3


async def test_events_may_come_in_pieces_of_any_size() -> None:
    async def script(asked: Asked) -> None:
        await asked.head()
        text = ': ping\r\n\r\nid: 7\r\ndata: {"choices": [{"text": "µ",\r\ndata: "finish_reason": "stop"}]}\r\n\r\n'
        for byte in (text + "data: [DONE]\n\n").encode():
            await asked.raw(bytes([byte]))
            await asyncio.sleep(0)

    record = await one(script)
    assert (record.failure, len(record.pieces)) == (None, 1)


@pytest.mark.parametrize(
    ("api", "path", "body"),
    [
        (
            "completions",
            "/v1/completions",
            {"prompt": "What is the function of HBB?", "model": "m", "ignore_eos": True},
        ),
        ("chat", "/v1/chat/completions", {"messages": [{"role": "user", "content": "What is the function of HBB?"}]}),
        ("generate", "/api/v1/generate", {"text": "What is the function of HBB?", "model": "m", "max_new_tokens": 9}),
    ],
)
async def test_each_api_is_asked_in_its_own_words(api: str, path: str, body: dict[str, object]) -> None:
    demand = steady(1, 0.5, headers={"Authorization": "Bearer secret"})
    wish = Wish(9, 0.5, "m", ignore_eos=api == "completions")
    async with serving(lambda asked: asked.refuse(500)) as server:
        await a_load(server.url, demand, api=api, wish=wish)
    (asked,) = server.asked
    assert asked.path == path
    assert asked.headers["authorization"] == "Bearer secret"
    assert body.items() <= asked.body.items()
    assert asked.body["stream"] is True
    assert asked.body["temperature"] == 0.5
    if api != "generate":
        assert (asked.body["max_tokens"], asked.body["stream_options"]) == (9, {"include_usage": True})


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"data: {\n\n", "garbage", "no JSON"),
        (b"data: [1]\n\n", "garbage", "no JSON object"),
        (b"<html>it works</html>\n\n", "garbage", "no server-sent event"),
        (b"data: \xff\xfe\n\n", "garbage", "not UTF-8"),
        (b'data: {"text": "of another API"}\n\n', "garbage", "no event of /v1/completions"),
        (b"x" * (2**20 + 1), "garbage", "a line of more than"),
        (b'data: {"error": {"message": "out of memory"}}\n\n', "error event", "out of memory"),
        (b'data: {"choices": [{"text": "a"}]}\n\n', "cut short", "ended after 1 tokens"),
        (b"", "cut short", "ended after 0 tokens"),
    ],
)
async def test_a_stream_that_is_no_whole_answer_is_a_failure(content: bytes, kind: str, says: str) -> None:
    async def script(asked: Asked) -> None:
        await asked.head()
        await asked.raw(content)

    record = await one(script)
    assert record.failure is not None
    assert record.failure.kind == kind
    assert says in record.failure.message


async def test_an_answer_that_is_no_stream_is_a_failure() -> None:
    async def script(asked: Asked) -> None:
        await asked.head(200, "application/json")
        await asked.raw(b'{"choices": []}')

    failure = (await one(script)).failure
    assert failure is not None
    assert (failure.kind, "application/json in place of a stream" in failure.message) == ("garbage", True)


async def test_what_is_no_http_is_a_failure() -> None:
    failure = (await one(lambda asked: asked.raw(b"SSH-2.0-OpenSSH_9.2\r\n"))).failure
    assert failure is not None
    assert failure.kind == "garbage"


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "in mid-answer"])
async def test_a_connection_that_breaks_is_a_failure(begun: bool) -> None:
    async def script(asked: Asked) -> None:
        if begun:
            await asked.head(transfer_encoding="chunked")
            event = b'data: {"choices": [{"text": "a"}]}\n\n'
            await asked.raw(b"%x\r\n%s\r\n" % (len(event), event))
            await asyncio.sleep(0.2)
        asked.reset()

    record = await one(script)
    assert record.failure is not None
    assert record.failure.kind == "reset"
    assert len(record.pieces) == begun


async def test_nobody_who_listens_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (record,) = (await a_load(f"http://127.0.0.1:{port}", steady(1, 0.5))).records
    assert record.failure is not None
    assert record.failure.kind == "connect"


@pytest.mark.parametrize("tokens", [0, 1], ids=["before the first token", "between two"])
async def test_an_answer_that_does_not_come_to_its_end_in_time_is_a_failure(tokens: int) -> None:
    async def script(asked: Asked) -> None:
        await asked.head()
        for _ in range(tokens):
            await asked.event({"choices": [{"text": "a"}]})
        await asyncio.sleep(30)

    record = await one(script, timeout=0.4)
    assert record.failure is not None
    assert (record.failure.kind, len(record.pieces)) == ("timeout", tokens)
    assert 0.4 <= record.whole_in < 10


@pytest.mark.parametrize(("status", "kind"), [(429, "429"), (503, "503"), (500, "HTTP 500"), (404, "HTTP 404")])
async def test_a_refusal_is_known_by_its_status_and_says_why(status: int, kind: str) -> None:
    record = await one(lambda asked: asked.refuse(status, "the queue is full", Retry_After="1"))
    assert record.failure is not None
    assert (record.failure.kind, record.failure.message) == (kind, "the queue is full")
    assert record.refused is (status in (429, 503))


async def test_a_refusal_may_be_heeded_and_the_time_goes_on_counting() -> None:
    async def script(asked: Asked) -> None:
        await (asked.refuse(429, Retry_After="1") if asked.number < 2 else asked.answer())

    record = await one(script, retries=2)
    assert (record.whole, record.waits) == (True, 2)
    assert record.first is not None
    assert record.first >= 2.0
    assert (await one(script, retries=1)).refused


async def test_a_wait_that_is_longer_than_the_time_left_is_not_begun() -> None:
    record = await one(lambda asked: asked.refuse(503, Retry_After="3600"), retries=1, timeout=20)
    assert (record.refused, record.waits) == (True, 0)


async def test_a_date_in_retry_after_is_understood() -> None:
    async def script(asked: Asked) -> None:
        past = "Wed, 21 Oct 2015 07:28:00 GMT"
        await (asked.answer() if asked.number else asked.refuse(503, Retry_After=past))

    assert (await one(script, retries=1, timeout=20)).whole


@pytest.mark.parametrize("keep", [False, True])
async def test_each_request_has_a_connection_of_its_own_unless_they_are_kept(keep: bool) -> None:
    async with serving(lambda asked: asked.answer()) as server:
        counts = told(await a_load(server.url, steady(20, 0.5, keep_alive=keep))).requests
    assert {asked.headers.get("connection") for asked in server.asked} == {None if keep else "close"}
    assert counts.succeeded == counts.offered == 10
