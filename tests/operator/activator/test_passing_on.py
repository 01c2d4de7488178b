"""What passes through: bytes, headers, streams; and what happens when one of the ends is gone."""

import asyncio
from collections.abc import AsyncIterator
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web

from forge_operator.activator import incoming, relay
from tests.operator.activator.stage import Answer, Stage, soon
from tests.support.ports import free_port


def streams(gate: asyncio.Semaphore, parts: int = 3) -> Answer:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Request-Id": "7"})
        await response.prepare(request)
        for number in range(parts):
            await gate.acquire()
            await response.write(f"data: {number}\n\n".encode())
        await response.write_eof()
        return response

    return answer


async def test_a_stream_comes_part_by_part() -> None:
    gate = asyncio.Semaphore(0)
    async with Stage().playing() as stage:
        stage.ready(await stage.pod(streams(gate)))
        gate.release()  # the first part alone: a proxy that gathers would wait for ever
        async with stage.client.post(stage.url, json={}) as answer:
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert answer.headers["X-Request-Id"] == "7"
            for number in range(3):
                part = await asyncio.wait_for(answer.content.readuntil(b"\n\n"), 5)
                assert part == f"data: {number}\n\n".encode()
                gate.release()
            assert await answer.content.read() == b""


async def test_a_client_that_leaves_a_stream_ends_it_in_the_pod() -> None:
    ended = asyncio.Event()

    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(endless))
        async with stage.client.post(stage.url, json={}) as answer:
            await answer.content.readexactly(3)
            answer.close()
        await asyncio.wait_for(ended.wait(), 5)
        await soon(lambda: stage.room.open == 0)
        assert stage.counted("left") == 1


async def test_a_client_that_leaves_before_the_first_byte_ends_it_in_the_pod() -> None:
    ended = asyncio.Event()

    async def silent(request: web.BaseRequest) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(silent))
        client = asyncio.create_task(stage.post())
        await soon(lambda: bool(stage.asked))
        client.cancel()
        await asyncio.wait_for(ended.wait(), 5)


@pytest.mark.parametrize("framed", ["chunked", "with its length"])
async def test_a_pod_that_dies_in_its_answer_is_an_error_and_no_short_answer(framed: str) -> None:
    async def dies(request: web.BaseRequest) -> web.StreamResponse:
        headers = {"Content-Length": "100"} if framed != "chunked" else {}
        response = web.StreamResponse(headers=headers)
        if framed == "chunked":
            response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"half of it")
        assert request.transport
        request.transport.abort()
        return response

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(dies))
        with pytest.raises(aiohttp.ClientError):
            async with stage.client.post(stage.url, json={}) as answer:
                await answer.read()
        await soon(lambda: stage.counted("broken") == 1)


async def test_a_pod_that_dies_before_it_answers_is_asked_once() -> None:
    async def dies(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport
        request.transport.abort()
        return web.Response()

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(dies), await stage.pod(dies))
        status, body = await stage.post()
        assert (status, body["error"]["type"]) == (502, "PodFailed")
        assert len(stage.asked) == 1


async def test_a_pod_that_takes_no_connection_is_passed_over() -> None:
    async with Stage().playing() as stage:
        stage.ready(free_port(), free_port(), await stage.pod())
        for _ in range(5):
            assert (await stage.post())[0] == 200
        assert len(stage.asked) == 5


async def test_a_pod_that_takes_no_connection_yet_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_operator.activator.proxy._AVOIDED_FOR", 0.05)
    async with Stage().playing() as stage:
        stage.ready(free_port())
        client = asyncio.create_task(stage.post())
        await asyncio.sleep(0.2)
        assert not client.done()
        stage.ready(await stage.pod())
        assert (await client)[0] == 200


async def test_headers_of_one_connection_stay_there_and_others_pass() -> None:
    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(headers={"X-Twice": "1", "Connection": "close, X-Mine", "X-Mine": "1"}, status=429)

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(answer))
        headers = {"Connection": "X-Hop", "X-Hop": "1", "Authorization": "Bearer t", "TE": "trailers"}
        async with stage.client.post(stage.url, json={}, headers=headers) as reply:
            assert (reply.status, reply.headers.get("X-Twice"), reply.headers.get("X-Mine")) == (429, "1", None)
        [asked] = stage.asked
        assert asked.headers["Authorization"] == "Bearer t"
        assert asked.headers["Host"] == f"127.0.0.1:{stage.port}", "as the client wrote it"
        assert not {"X-Hop", "TE", "Transfer-Encoding"} & asked.headers.keys()


async def test_what_is_compressed_passes_as_it_is() -> None:
    async def zipped(_: web.BaseRequest) -> web.StreamResponse:
        response = web.Response(text="gene " * 100)
        response.enable_compression(web.ContentCoding.gzip)
        return response

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(zipped))
        async with stage.client.post(stage.url, json={}) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert await answer.text() == "gene " * 100


async def test_an_answer_without_a_body_is_whole() -> None:
    async def nothing(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=204)

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(nothing))
        async with stage.client.head(stage.url) as answer:
            assert answer.status == 204
        async with stage.client.post(stage.url) as answer:
            assert (answer.status, await answer.read()) == (204, b"")


@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_ten_megabytes_are_refused_and_wake_nobody(coding: str) -> None:
    content = b"x" * 10_000_000

    async def parts() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    async with Stage().playing() as stage:
        async with stage.client.post(stage.url, data=BytesIO(content) if coding == "length" else parts()) as answer:
            assert answer.status == 413
            assert (await answer.json())["error"]["type"] == "BodyTooLarge"
        assert stage.sleeper.looks == 0
        assert stage.room.bytes == 0


async def test_a_chunked_body_arrives_whole() -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"y" * 50_000

    async with Stage().playing() as stage:
        await stage.woken_by()
        async with stage.client.post(stage.url, data=parts()) as answer:
            assert answer.status == 200
        assert stage.asked[0].body == b"y" * 1_500_000


async def test_a_client_that_asks_first_is_told_to_go_on() -> None:
    async with Stage().playing() as stage:
        await stage.woken_by()
        async with stage.client.post(stage.url, data=b"z" * 1000, expect100=True) as answer:
            assert answer.status == 200
        assert stage.asked[0].body == b"z" * 1000
        assert "Expect" not in stage.asked[0].headers


async def test_a_slow_body_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incoming, "_BODY_SECONDS", 0.2)
    async with Stage().playing() as stage:
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
        assert b" 408 " in head
        assert stage.sleeper.looks == 0
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_takes_nothing_of_its_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_STALLED", 0.2)

    async def long(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x" * 50_000_000)

    async with Stage().playing() as stage:
        stage.ready(await stage.pod(long))
        _, writer = await asyncio.open_connection("127.0.0.1", stage.port, limit=1024)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        await soon(lambda: stage.counted("broken") == 1)
        assert stage.room.open == 0
        writer.close()


async def test_an_old_client_gets_its_answer() -> None:
    async with Stage().playing() as stage:
        stage.ready(await stage.pod(streams(asyncio.Semaphore(3))))
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 5)
        assert answer.endswith(b"\r\n\r\ndata: 0\n\ndata: 1\n\ndata: 2\n\n"), "not in chunks, which it does not know"
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "*"])
async def test_only_paths_are_asked_for(target: str) -> None:
    async with Stage().playing() as stage:
        stage.ready(await stage.pod())
        reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
        writer.write(f"OPTIONS {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 400 " in await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
        assert stage.asked == []
        writer.close()
        await writer.wait_closed()
