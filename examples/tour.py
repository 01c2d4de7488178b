"""A walk through every endpoint of a running model server, errors included.

    python examples/tour.py --url http://127.0.0.1:8000 [--admin-url http://127.0.0.1:8081]

Each stop prints the request, the status and the beginning of the answer. The exit status is 1 when any answer
is not as documented.
"""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

import httpx

QUESTION = "What is the function of HBB?"
GENERATE, COMPLETIONS, CHAT = "/api/v1/generate", "/v1/completions", "/v1/chat/completions"
SHOWN = 300  # characters of an answer
BODY_LIMIT = 2 * 1024 * 1024  # bytes of a request


class Unexpected(Exception):
    """An answer is not as documented; the message says what was expected."""


class Visitor:
    """Asks, prints what was asked and answered, and compares."""

    def __init__(self, serving: httpx.Client, admin: httpx.Client | None) -> None:
        self.serving = serving
        self.admin = admin

    def get(self, path: str, status: int = 200) -> httpx.Response:
        return self._ask(self.serving, "GET", path, status)

    def get_admin(self, path: str) -> httpx.Response:
        if self.admin is None:
            raise Unexpected("give --admin-url to visit the admin port")
        return self._ask(self.admin, "GET", path, 200)

    def post(self, path: str, body: dict[str, Any], status: int = 200) -> Any:
        return self._ask(self.serving, "POST", path, status, json=body).json()

    def post_admin(self, path: str, body: dict[str, Any], status: int = 200) -> httpx.Response:
        if self.admin is None:
            raise Unexpected("give --admin-url to visit the admin port")
        return self._ask(self.admin, "POST", path, status, json=body)

    def events(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Server-sent events up to `[DONE]`, which has to be the last."""
        lines = self._ask(self.serving, "POST", path, 200, json={**body, "stream": True}).text.split("\n\n")
        told = [line.removeprefix("data: ") for line in lines if line]
        expect(told[-1] == "[DONE]", "[DONE] at the end")
        return [json.loads(line) for line in told[:-1]]

    def refused(self, body: dict[str, Any], status: int, name: str) -> None:
        """A generate request that must fail, in the one shape of errors, with words that include `name`."""
        error = self.post(GENERATE, body, status).get("error")
        expect(isinstance(error, dict) and {"type", "message"} <= error.keys(), "an error with type and message")
        expect(name in json.dumps(error), f"the error names {name!r}")

    def _ask(self, client: httpx.Client, method: str, path: str, status: int, **content: Any) -> httpx.Response:
        print(f"\n{method} {path}  {_trimmed(json.dumps(content['json'])) if content else ''}".rstrip())
        response = client.request(method, path, **content)
        print(f"  {response.status_code}  {_trimmed(response.text)}")
        expect(response.status_code == status, f"status {status}")
        return response


def expect(truth: bool, expected: str) -> None:
    if not truth:
        raise Unexpected(f"expected {expected}")


def _trimmed(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def what_this_is(visitor: Visitor) -> None:
    expect("model" in visitor.get("/").json(), "the name of the model")


def documentation(visitor: Visitor) -> None:
    expect(all("html" in visitor.get(path).headers["content-type"] for path in ("/docs", "/console")), "pages")
    expect(GENERATE in visitor.get("/openapi.json").json()["paths"], "every route in the OpenAPI document")


def health(visitor: Visitor) -> None:
    state = visitor.get("/api/v1/health").json()
    expect(state.keys() >= {"status", "model", "uptime_seconds", "error_rate"}, "status, model, uptime, error rate")


def metrics_as_json(visitor: Visitor) -> None:
    expect(bool(visitor.get("/api/v1/metrics").json()), "numbers")


def models(visitor: Visitor) -> None:
    expect(len(visitor.get("/v1/models").json()["data"]) >= 1, "the model that is served")


def one_prompt(visitor: Visitor) -> None:
    answer = visitor.post(GENERATE, {"text": QUESTION, "max_new_tokens": 40})
    expect(len(answer["results"]) == 1 and bool(answer["results"][0]["text"]), "one answer")
    expect(answer["provenance"]["checkpoint"] is not None, "where the answer comes from")


def a_batch_in_order(visitor: Visitor) -> None:
    texts = [QUESTION, "What is the function of CFTR?"]
    results = visitor.post(GENERATE, {"text": texts, "max_new_tokens": 24})["results"]
    expect([result["index"] for result in results] == [0, 1], "the answers in the order of the prompts")


def the_base_model_answers_otherwise(visitor: Visitor) -> None:
    tuned, base = (
        visitor.post(GENERATE, {"text": QUESTION, "max_new_tokens": 24, "use_adapter": use})["results"][0]["text"]
        for use in (True, False)
    )
    expect(tuned != base, "the adapter to change the answer")


def sampling_repeats_with_a_seed(visitor: Visitor) -> None:
    body = {"text": "Name a gene.", "max_new_tokens": 16, "temperature": 0.8, "top_p": 0.9, "top_k": 50, "seed": 7}
    first, second = (visitor.post(GENERATE, body)["results"][0]["text"] for _ in range(2))
    expect(first == second, "the same seed to give the same answer")


def log_probabilities(visitor: Visitor) -> None:
    result = visitor.post(GENERATE, {"text": QUESTION, "max_new_tokens": 8, "logprobs": True})["results"][0]
    expect(bool(result["logprobs"]), "a log-probability for each token")


def stop_words(visitor: Visitor) -> None:
    body = {"text": QUESTION, "max_new_tokens": 40, "stop": [" the"]}
    result = visitor.post(GENERATE, body)["results"][0]
    expect(" the" not in result["text"] and result["finish_reason"] == "stop", "the text before the stop word")


def a_stream(visitor: Visitor) -> None:
    body = {"text": QUESTION, "max_new_tokens": 12}
    *parts, whole = visitor.events(GENERATE, body)
    expect("".join(part["text"] for part in parts) == whole["results"][0]["text"], "the parts to be the whole")


def a_conversation_as_openai_clients_ask(visitor: Visitor) -> None:
    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 24, "temperature": 0, "logprobs": True}
    answer = visitor.post(CHAT, body)
    expect(bool(answer["choices"][0]["message"]["content"]), "an answer")
    parts = [event["choices"][0]["delta"].get("content", "") for event in visitor.events(CHAT, body)]
    expect("".join(parts) == answer["choices"][0]["message"]["content"], "the same answer as a stream")


def a_text_to_go_on_with_as_openai_clients_ask(visitor: Visitor) -> None:
    body = {"prompt": "HBB encodes", "max_tokens": 8, "temperature": 0, "echo": True, "logprobs": 1}
    choice = visitor.post(COMPLETIONS, body)["choices"][0]
    expect(choice["text"].startswith("HBB encodes"), "the prompt before its continuation")
    expect(choice["logprobs"]["token_logprobs"][0] is None, "a log-probability for each token but the first")


def the_base_model_by_its_name(visitor: Visitor) -> None:
    body = {"prompt": "The gene HBB encodes", "max_tokens": 12, "temperature": 0}
    tuned, base = (visitor.post(COMPLETIONS, {**body, **of})["choices"][0]["text"] for of in ({}, {"model": "base"}))
    expect(tuned != base, "the adapter to change the answer")


def tokens_and_back(visitor: Visitor) -> None:
    tokens = visitor.post("/tokenize", {"prompt": QUESTION})["tokens"]
    expect(visitor.post("/detokenize", {"tokens": tokens})["prompt"] == QUESTION, "the same text")
    expect("tokenizer_class" in visitor.get("/tokenizer_info").json(), "facts about the tokenizer")


def a_model_that_is_not_served(visitor: Visitor) -> None:
    expect("gpt" in json.dumps(visitor.post(COMPLETIONS, {"model": "gpt", "prompt": "x"}, 404)), "its name")


def what_is_not_offered(visitor: Visitor) -> None:
    body = {"messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_object"}}
    expect("response_format" in json.dumps(visitor.post(CHAT, body, 400)), "the field that is not served")


def an_unknown_field(visitor: Visitor) -> None:
    visitor.refused({"text": QUESTION, "temprature": 0.5}, 422, "temprature")


def a_wrong_type(visitor: Visitor) -> None:
    visitor.refused({"text": 5}, 422, "text")


def a_value_out_of_bounds(visitor: Visitor) -> None:
    visitor.refused({"text": QUESTION, "top_p": 2}, 422, "top_p")


def a_prompt_that_is_too_long(visitor: Visitor) -> None:
    visitor.refused({"text": "gene " * 100_000}, 422, "token")


def a_body_that_is_too_large(visitor: Visitor) -> None:
    visitor.refused({"text": "A" * BODY_LIMIT}, 413, "bytes")


def a_checkpoint_from_anywhere(visitor: Visitor) -> None:
    expect("error" in visitor.post("/api/v1/load-model", {"model_path": "/"}, 403), "a refusal that says why")


def an_unknown_path(visitor: Visitor) -> None:
    expect("error" in visitor.get("/api/v1/nothing", 404).json(), "an error in the usual shape")


def a_wrong_method(visitor: Visitor) -> None:
    expect("error" in visitor.get(GENERATE, 405).json(), "an error in the usual shape")


def probes(visitor: Visitor) -> None:
    for path in ("/livez", "/startupz", "/readyz"):
        visitor.get_admin(path)


def metrics_for_prometheus(visitor: Visitor) -> None:
    expect("# TYPE " in visitor.get_admin("/metrics").text, "the Prometheus text format")


def the_report_to_the_operator(visitor: Visitor) -> None:
    report = visitor.get_admin("/report").json()
    expect(report["adapterEffect"]["effective"] and report["probe"]["succeeded"], "an adapter that works")


def adapters_while_requests_run(visitor: Visitor) -> None:
    missing = {"lora_name": "another", "lora_path": "/no/such/folder"}
    expect("/no/such/folder" in visitor.post_admin("/v1/load_lora_adapter", missing, 400).text, "the folder's name")
    visitor.post_admin("/v1/unload_lora_adapter", {"lora_name": "another"}, 404)


Stop = Callable[[Visitor], None]
TOUR: list[Stop] = [
    what_this_is,
    documentation,
    health,
    metrics_as_json,
    models,
    one_prompt,
    a_batch_in_order,
    the_base_model_answers_otherwise,
    sampling_repeats_with_a_seed,
    log_probabilities,
    stop_words,
    a_stream,
    a_conversation_as_openai_clients_ask,
    a_text_to_go_on_with_as_openai_clients_ask,
    the_base_model_by_its_name,
    tokens_and_back,
    a_model_that_is_not_served,
    what_is_not_offered,
    an_unknown_field,
    a_wrong_type,
    a_value_out_of_bounds,
    a_prompt_that_is_too_long,
    a_body_that_is_too_large,
    a_checkpoint_from_anywhere,
    an_unknown_path,
    a_wrong_method,
]
ADMIN_TOUR: list[Stop] = [probes, metrics_for_prometheus, the_report_to_the_operator, adapters_while_requests_run]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the serving port")
    parser.add_argument("--admin-url", help="the admin port; without it, its endpoints are left out")
    parser.add_argument("--timeout", type=float, default=120, help="longest wait for one answer, in seconds (120)")
    options = parser.parse_args()

    serving = httpx.Client(base_url=options.url, timeout=options.timeout)
    admin = httpx.Client(base_url=options.admin_url, timeout=options.timeout) if options.admin_url else None
    visitor = Visitor(serving, admin)
    stops = TOUR + (ADMIN_TOUR if admin else [])
    failures = [f"{stop.__name__}: {why}" for stop in stops if (why := _visited(stop, visitor))]
    print(f"\n{len(stops) - len(failures)} of {len(stops)} stops are as documented")
    for failure in failures:
        print(f"  not: {failure}")
    return 1 if failures else 0


def _visited(stop: Stop, visitor: Visitor) -> str | None:
    """Why the stop is not as documented, if it is not."""
    print(f"\n--- {stop.__name__.replace('_', ' ')}")
    try:
        stop(visitor)
    except (Unexpected, httpx.HTTPError) as error:
        why = str(error) or type(error).__name__
    except (KeyError, IndexError, TypeError, ValueError) as error:
        why = f"the answer lacks what was looked for: {error!r}"
    else:
        return None
    print(f"  NOT as documented: {why}")
    return why


if __name__ == "__main__":
    sys.exit(main())
