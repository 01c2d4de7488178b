"""What confidence is called, with profiles and without, with an engine that a test lets be sure of things."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from forge_inference.engine.contract import Checkpoint, Chunk, Request, Scored
from forge_inference.science.genomics.confidence import softmax
from forge_inference.science.genomics.profiles import Circumstances, read
from forge_inference.science.genomics.questions import template_digest
from forge_inference.web.app import Parts, create_app
from tests.support.engines import LOADED, ScriptedEngine
from tests.support.profiles import SERVED, a_profile

PATH = "/api/v1/genomics/query"
ASKED = {"query": "Is CFTR a channel?", "query_type": "gene_function", "answer_form": "yes_no_maybe"}
LOGPROBS = {"yes": -0.2, "no": -1.2, "maybe": -3.0}
OURS = SERVED.model_copy(update={"wording_sha256": template_digest()})


@pytest.fixture
def engine() -> ScriptedEngine:
    """Finds the options of a closed question as likely as LOGPROBS says."""
    engine = ScriptedEngine()
    codes = {"yes": 70, "no": 80, "maybe": 90, "a": 97, "7": 55}
    engine.tokens = lambda request: [codes[str(request.prompt)]] if request.prompt in codes else [1, 2, 3]
    likely = {codes[text]: logprob for text, logprob in LOGPROBS.items()}
    engine.scores = lambda request: [Scored(token, likely.get(token), ()) for token in request.prompt]  # type: ignore[union-attr,arg-type]
    return engine


@pytest.fixture
def mounted() -> Circumstances:
    """What the mounted profile is for."""
    return OURS


@pytest.fixture
async def lab(parts: Parts, mounted: Circumstances, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    profiles = read([a_profile(tmp_path / "lab.json", mounted)])
    transport = httpx.ASGITransport(create_app(replace(parts, profiles=profiles), []))
    async with httpx.AsyncClient(transport=transport, base_url="http://lab") as client:
        yield client


async def sure(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={**ASKED, **changes})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["confidence"]
    return told


async def test_without_a_profile_nothing_is_calibrated(api: httpx.AsyncClient) -> None:
    told = await sure(api)
    assert (told["kind"], told["calibrated"], told["method"]) == ("uncalibrated", False, "choice_softmax")
    assert (told["calibration"], told["calibration_mismatch"]) == (None, None)
    assert told["value"] == pytest.approx(softmax(list(LOGPROBS.values()))[0])
    assert (await api.get("/api/v1/calibration")).json() == {"calibrated": False, "profiles": []}


async def test_with_a_profile_that_fits_it_is(lab: httpx.AsyncClient, tmp_path: Path) -> None:
    [profile] = read([tmp_path / "lab.json"])
    told = await sure(lab)
    assert (told["kind"], told["calibrated"], told["method"]) == ("calibrated", True, "choice_softmax")
    temperature = profile.content.fit.temperature
    assert told["value"] == pytest.approx(softmax(list(LOGPROBS.values()), temperature)[0])
    known = told["calibration"]
    assert (known["profile"], known["sha256"], known["temperature"]) == ("lab.json", profile.sha256, temperature)
    assert known["ece"] == profile.content.measured.after.ece
    assert known["ece_perfect_model_interval"][0] < known["ece_perfect_model"] < known["ece_perfect_model_interval"][1]
    assert "a perfectly calibrated model would show" in told["interpretation"]
    assert told["calibration_mismatch"] is None
    about = (await lab.get("/api/v1/calibration")).json()
    assert (about["calibrated"], about["profiles"][0]["applies"]) == (True, True)
    assert about["profiles"][0]["content"]["measured"]["reliability_after"][0]["count"] == 20


@pytest.mark.parametrize(
    ("changes", "differs"),
    [
        ({"use_adapter": False}, ["adapter_digest"]),
        ({"model": "base"}, ["adapter_digest"]),
        ({"model": "other"}, ["adapter_digest"]),
        ({"query_type": "drug_discovery"}, ["query_type"]),
        ({"answer_form": "choice", "choices": ["yes", "no"]}, ["answer_form", "options"]),
    ],
)
async def test_what_the_profile_is_not_for_is_named(
    lab: httpx.AsyncClient, engine: ScriptedEngine, changes: dict[str, Any], differs: list[str]
) -> None:
    engine.beside["other"] = Path("other")
    engine.checkpoints["other"] = replace(LOADED.checkpoint, digest="sha256:00")
    told = await sure(lab, **changes)
    assert (told["calibrated"], told["kind"], told["calibration"]) == (False, "uncalibrated", None)
    assert told["calibration_mismatch"] == differs
    assert "not a chance of being right. The profile lab.json is for " in told["interpretation"]
    assert (await sure(lab))["calibrated"], "of the served adapter it still holds"


@pytest.mark.parametrize(
    "mounted", [OURS.model_copy(update={"quantization": "none/float32", "base_model_digest": "sha256:00"})]
)
async def test_another_base_model_in_other_arithmetic_is_named(lab: httpx.AsyncClient) -> None:
    told = await sure(lab)
    assert (told["calibrated"], told["calibration_mismatch"]) == (False, ["base_model_digest", "quantization"])
    about = (await lab.get("/api/v1/calibration")).json()
    assert about["profiles"][0]["mismatch"] == ["base_model_digest", "quantization"]
    assert not about["calibrated"]


async def test_another_checkpoint_flips_it_back(lab: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    assert (await sure(lab))["calibrated"]
    engine.state = replace(LOADED, checkpoint=replace(LOADED.checkpoint, digest="sha256:00"))
    told = await sure(lab)
    assert (told["calibrated"], told["calibration_mismatch"]) == (False, ["adapter_digest"])


async def test_no_confidence_is_told_where_none_is_wanted_or_nothing_was_answered(lab: httpx.AsyncClient) -> None:
    told = await sure(lab, confidence={"method": "none"})
    assert (told["value"], told["method"], told["calibrated"]) == (None, "none", False)
    told = await sure(lab, require_context=True)
    assert (told["value"], told["method"], told["calibrated"]) == (None, "none", False)


async def test_while_a_model_is_loaded_nothing_is_said_of_it(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.state = None
    assert (await api.get("/api/v1/calibration")).status_code == 503


OPEN = {"answer_form": "text", "temperature": 0.7, "confidence": {"method": "answer_frequency", "samples": 5}}


def writes(engine: ScriptedEngine, *texts: str) -> None:
    """One after another, each of two tokens."""
    left = list(texts)

    def script(_: Request) -> list[Chunk]:
        return [Chunk(left.pop(0), 7, -0.5, 40), Chunk("", 0, -0.5, 40, closing=True, finish="stop")]

    engine.script = script


async def test_samples_that_agree_are_counted(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "A pump.", "A chloride channel.", "a chloride channel", "A channel", "**A chloride channel** [S1]")
    answer = (await api.post(PATH, json={**ASKED, **OPEN, "seed": 9})).json()
    told = answer["confidence"]
    assert answer["answer"] == "A chloride channel."
    assert (told["value"], told["method"], told["samples"], told["agreeing"]) == (0.6, "answer_frequency", 5, 3)
    assert (told["calibrated"], told["interpretation"]) == (
        False,
        "5 samples, 3 said the same; not a chance of being right",
    )
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 10, "samples": 5}
    assert [request.sampling.seed for request in engine.requests] == [9, 10, 11, 12, 13]
    writes(engine, "A pump.")
    once = (await api.post(PATH, json={**ASKED, "answer_form": "text"})).json()
    assert once["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "samples": 1}


async def test_samples_that_decline_agree_and_are_an_abstention(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "A pump.", *["INSUFFICIENT EVIDENCE", "Insufficient evidence."] * 2)
    answer = (await api.post(PATH, json={**ASKED, **OPEN})).json()
    assert (answer["abstained"], answer["abstain_reason"]) == (True, "model_declined")
    assert answer["confidence"]["value"] is None
    assert answer["usage"]["samples"] == 5


async def test_a_stream_of_samples_is_its_result(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, *["A channel."] * 5)
    answer = await api.post(PATH, json={**ASKED, **OPEN, "stream": True})
    events = [line for line in answer.text.split("\n\n") if line]
    assert len(events) == 2
    assert '"answer": "A channel."' in events[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"temperature": 0}, "temperature: at 0 all samples"),
        ({"confidence": {"method": "answer_frequency"}}, "confidence.samples: answer_frequency needs 3"),
        ({"confidence": {"method": "answer_frequency", "samples": 17}}, "samples"),
        ({"confidence": {"method": "auto", "samples": 3}}, "confidence.samples: more than one"),
        ({"answer_form": "yes_no_maybe"}, "answer_frequency is of open questions"),
    ],
)
async def test_what_makes_no_sense_of_samples_is_refused(
    api: httpx.AsyncClient, changes: dict[str, Any], says: str
) -> None:
    answer = await api.post(PATH, json={**ASKED, **OPEN, **changes})
    assert answer.status_code == 422
    assert says in answer.json()["error"]["message"]


async def test_what_answered_is_told_by_its_own_digest(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.beside["other"] = Path("other")
    engine.checkpoints["other"] = Checkpoint("sha256:00", "org/base", 8, 16.0, ("q_proj",))
    for changes, digest in (({}, "sha256:aa"), ({"model": "other"}, "sha256:00"), ({"use_adapter": False}, None)):
        told = (await api.post(PATH, json={**ASKED, **changes})).json()["provenance"]
        assert (told["adapter_digest"], told["base_model_digest"]) == (digest, "sha256:bb")
