"""OpenAI's own client, unmodified, against the real server."""

import asyncio
from typing import Any

import httpx
import openai
import pytest

from tests.inference.clients.conftest import Served
from tests.inference.engine.conftest import QUIET
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
TURN: list[Any] = [{"role": "user", "content": "What binds the protein?"}]
GREEDY: dict[str, Any] = {"model": "genes", "temperature": 0, "max_tokens": 12}


@pytest.fixture(scope="module")
def client(served: Served) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0)


def test_the_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["genes", "base"]
    assert client.models.retrieve("base").id == "base"
    with pytest.raises(openai.NotFoundError, match="there are genes, base"):
        client.models.retrieve("gpt-4")


def test_a_conversation_is_answered_as_by_our_own_route(client: openai.OpenAI, served: Served) -> None:
    answer = client.chat.completions.create(messages=TURN, logprobs=True, top_logprobs=2, **GREEDY)
    body = {"text": TURN[0]["content"], "max_new_tokens": 12, "logprobs": True}
    [ours] = httpx.post(f"{served.url}/api/v1/generate", json=body).json()["results"]
    [choice] = answer.choices
    assert choice.message.content == ours["text"]
    assert choice.finish_reason == ours["finish_reason"]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert [each.logprob for each in choice.logprobs.content] == pytest.approx(ours["logprobs"], abs=1e-4)
    for each in choice.logprobs.content:
        assert len(each.top_logprobs) == 2
        assert each.top_logprobs[0].logprob == each.logprob  # greedy: the chosen one is the likeliest
    assert answer.usage is not None
    assert answer.usage.completion_tokens == ours["completion_tokens"]


@pytest.mark.parametrize("model", ["genes", "base"])
def test_a_stream_says_what_the_whole_answer_says(client: openai.OpenAI, model: str) -> None:
    wanted = {**GREEDY, "model": model}
    whole = client.chat.completions.create(messages=TURN, **wanted)
    events = list(
        client.chat.completions.create(messages=TURN, stream=True, stream_options={"include_usage": True}, **wanted)
    )
    parts = [event.choices[0].delta.content or "" for event in events if event.choices]
    assert "".join(parts) == whole.choices[0].message.content
    assert [event.choices[0].finish_reason for event in events if event.choices][-1] == whole.choices[0].finish_reason
    assert events[0].choices[0].delta.role == "assistant"
    assert events[-1].usage == whole.usage
    assert {event.id for event in events} == {events[0].id}


async def test_many_answers_at_once_are_those_of_one_at_a_time(client: openai.OpenAI, served: Served) -> None:
    texts = [f"gene {number}" for number in range(12)]
    alone = [client.completions.create(prompt=text, **GREEDY).choices[0].text for text in texts]
    async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="none", max_retries=0) as crowd:
        answers = await asyncio.gather(*(crowd.completions.create(prompt=text, **GREEDY) for text in texts))
    assert [answer.choices[0].text for answer in answers] == alone


def test_completions_take_every_shape_of_prompt(client: openai.OpenAI, served: Served) -> None:
    ids = httpx.post(f"{served.url}/tokenize", json={"prompt": "the gene"}).json()["tokens"]
    shapes: list[Any] = ["the gene", ["the gene"], ids, [ids]]
    texts = [client.completions.create(prompt=shape, **GREEDY).choices[0].text for shape in shapes]
    assert len(set(texts)) == 1
    both = client.completions.create(prompt=["the gene", "the protein"], n=2, **GREEDY)
    assert [choice.index for choice in both.choices] == [0, 1, 2, 3]
    assert both.choices[0].text == both.choices[1].text == texts[0]
    assert both.choices[2].text != texts[0]


def test_a_seed_makes_sampled_answers_again_and_each_of_several_its_own(client: openai.OpenAI) -> None:
    warm = {"model": "genes", "temperature": 1.5, "max_tokens": 12, "n": 3, "seed": 5}
    first, second = (client.chat.completions.create(messages=TURN, **warm) for _ in range(2))
    texts = [choice.message.content for choice in first.choices]
    assert texts == [choice.message.content for choice in second.choices]
    assert len(set(texts)) == 3


def test_echo_tells_how_likely_a_given_text_is(client: openai.OpenAI) -> None:
    given: dict[str, Any] = {"model": "base", "prompt": "the gene codes", "echo": True, "logprobs": 2, "temperature": 0}
    answer = client.completions.create(max_tokens=1, **given)
    [choice] = answer.choices
    told = choice.logprobs
    assert choice.text.startswith("the gene codes")
    assert told is not None
    assert told.tokens
    assert told.token_logprobs
    assert told.top_logprobs
    assert told.token_logprobs[0] is None
    assert "".join(told.tokens).startswith("the gene codes")
    assert told.text_offset == [len("".join(told.tokens[:at])) for at in range(len(told.tokens))]
    assert answer.usage is not None
    assert len(told.tokens) == answer.usage.total_tokens
    again = client.completions.create(max_tokens=0, **given)
    assert again.choices[0].text == "the gene codes"
    assert again.choices[0].logprobs
    assert again.choices[0].logprobs.token_logprobs == told.token_logprobs[:-1]


def test_parts_nulls_and_both_names_of_a_length_are_understood(client: openai.OpenAI) -> None:
    parts: list[Any] = [{"role": "user", "content": [{"type": "text", "text": TURN[0]["content"]}]}]
    plain = client.chat.completions.create(messages=TURN, **GREEDY)
    same = client.chat.completions.create(
        messages=parts, model="genes", temperature=0, max_completion_tokens=12, stop=None, seed=None, n=None, top_p=None
    )
    assert same.choices[0].message == plain.choices[0].message
    unlimited = client.chat.completions.create(messages=TURN, model="genes", temperature=0)
    assert unlimited.usage is not None
    assert unlimited.choices[0].finish_reason == "stop" or unlimited.usage.total_tokens == 512


def test_what_is_ignored_is_named_and_what_cannot_be_is_refused(client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        messages=TURN, logit_bias={"5": 1}, parallel_tool_calls=True, user="me", **GREEDY
    )
    assert raw.headers["x-ignored-parameters"] == "logit_bias, parallel_tool_calls"
    text: Any = {"type": "text"}
    client.chat.completions.create(messages=TURN, response_format=text, **GREEDY)
    refused: list[tuple[dict[str, Any], str]] = [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "text"),
        ({"temperature": -1}, "temperature"),
        ({"top_logprobs": 99}, "top_logprobs"),
        ({"messages": []}, "messages"),
    ]
    for change, word in refused:
        with pytest.raises(openai.BadRequestError, match=word):
            client.chat.completions.create(**{"messages": TURN, **GREEDY, **change})
    for change, word in (({"suffix": "x"}, "suffix"), ({"best_of": 3}, "best_of"), ({"max_tokens": 0}, "echo")):
        with pytest.raises(openai.BadRequestError, match=word):
            client.completions.create(**{"prompt": "x", **GREEDY, **change})


def test_a_refusal_of_a_stream_is_a_status_and_no_event(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="512 tokens that this model serves") as caught:
        client.chat.completions.create(messages=TURN, model="genes", max_tokens=600, stream=True)
    assert caught.value.code == "PromptTooLong"
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="none", prompt="x", stream=True)


def test_adapters_come_and_go_on_the_admin_port(client: openai.OpenAI, served: Served) -> None:
    load = {"lora_name": "twin", "lora_path": str(served.adapter)}
    assert httpx.post(f"{served.admin}/v1/load_lora_adapter", json=load).status_code == 200
    try:
        assert [model.id for model in client.models.list()] == ["genes", "twin", "base"]
        twin = client.completions.create(**{**GREEDY, "model": "twin"}, prompt="the gene").choices[0].text
        assert twin == client.completions.create(**GREEDY, prompt="the gene").choices[0].text
        again = httpx.post(f"{served.admin}/v1/load_lora_adapter", json=load)
        assert again.status_code == 400
        assert "already" in again.json()["error"]["message"]
    finally:
        gone = httpx.post(f"{served.admin}/v1/unload_lora_adapter", json={"lora_name": "twin"})
    assert gone.status_code == 200
    assert httpx.post(f"{served.admin}/v1/unload_lora_adapter", json={"lora_name": "twin"}).status_code == 404
    assert httpx.post(f"{served.url}/v1/load_lora_adapter", json=load).status_code == 404  # not on the serving port


def test_tokens_go_both_ways(served: Served) -> None:
    told = httpx.post(f"{served.url}/tokenize", json={"prompt": "the gene"}).json()
    assert told["count"] == len(told["tokens"])
    assert told["max_model_len"] == 512
    back = httpx.post(f"{served.url}/detokenize", json={"tokens": told["tokens"]}).json()
    assert back == {"prompt": "the gene"}
    rendered = httpx.post(f"{served.url}/tokenize", json={"messages": TURN}).json()["tokens"]
    text = httpx.post(f"{served.url}/detokenize", json={"tokens": rendered}).json()["prompt"]
    assert text == f"<|im_start|>user\n{TURN[0]['content']}<|im_end|>\n<|im_start|>assistant\n"
    assert "im_start" in httpx.get(f"{served.url}/tokenizer_info").json()["chat_template"]
    assert httpx.post(f"{served.url}/tokenize", json={}).status_code == 400


def test_what_generations_take_is_told_to_prometheus_and_to_people(client: openai.OpenAI, served: Served) -> None:
    def samples() -> dict[str, float]:
        lines = httpx.get(f"{served.admin}/metrics").text.splitlines()
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}

    before = samples()
    list(client.completions.create(prompt="the gene", stream=True, **GREEDY))
    until(lambda: samples()["forge_requests_running"] == 0, limit=60, what="the engine to say that it is idle")
    after = samples()
    grown = {name for name, value in after.items() if value > before.get(name, 0)}
    for kind in ("queue", "time_to_first_token", "inter_token", "generation"):
        assert f"forge_{kind}_seconds_count" in grown
    assert after["forge_inter_token_seconds_count"] - before["forge_inter_token_seconds_count"] == 11
    for name in ("waiting", "running"):
        assert after[f"vllm:num_requests_{name}"] == after[f"forge_requests_{name}"] == 0
    assert after["vllm:kv_cache_usage_perc"] == 0
    assert any(name.startswith('vllm:lora_requests_info{max_lora="64"') for name in after)
    people = httpx.get(f"{served.url}/api/v1/metrics").json()
    assert people["time_to_first_token_ms"]["p50"] > 0
    assert people["inter_token_ms"]["p99"] >= people["inter_token_ms"]["p50"]
    assert len(after) < 200
