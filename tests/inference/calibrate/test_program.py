"""The program, against servers whose answers a test writes; in a process of its own where that is the matter."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol
from xml.etree import ElementTree

import pytest

from forge_inference.calibrate.__main__ import main
from forge_inference.science.genomics.confidence import softmax
from forge_inference.science.genomics.profiles import read
from tests.harness.places import ROOT
from tests.inference.load.server import Asked, Script, serving
from tests.support.profiles import SERVED, a_question, written

OPTIONS = ("yes", "no", "maybe")


class Run(Protocol):
    async def __call__(self, script: Script, questions: Path, *words: str | Path) -> tuple[int, str, str]: ...


PROVENANCE: dict[str, Any] = {
    "base_model_digest": SERVED.base_model_digest,
    "adapter_digest": SERVED.adapter_digest,
    "quantization": {"method": "nf4", "doubleQuant": True, "computeDtype": "bfloat16"},
    "prompt": {"chat_template_sha256": None, "wording_sha256": SERVED.wording_sha256},
}


def logprobs(query: str) -> list[float]:
    chance = random.Random(query)
    return [chance.gauss(-4, 2) for _ in OPTIONS]


def a_boaster(count: int) -> list[dict[str, Any]]:
    """Questions for the server below; what is expected comes as often as its likelihoods say at a temperature of 2."""
    chance, asked = random.Random(9), []
    for number in range(count):
        question = a_question(number)
        [question["expected"]] = chance.choices(OPTIONS, softmax(logprobs(question["query"]), 2))
        asked.append(question)
    return asked


def an_answer(asked: Asked, **changes: Any) -> dict[str, Any]:
    told = zip(OPTIONS, logprobs(asked.body["query"]), strict=True)
    options = [{"text": text, "mean_logprob": logprob} for text, logprob in told]
    likeliest = sorted(options, key=lambda each: -float(str(each["mean_logprob"])))
    return {"abstained": False, "options": likeliest, "provenance": PROVENANCE, **changes}


async def reply(asked: Asked, content: object, status: int = 200) -> None:
    await asked.head(status, "application/json")
    await asked.raw((content if isinstance(content, str) else json.dumps(content)).encode())


async def boasts(asked: Asked) -> None:
    await reply(asked, an_answer(asked))


async def started(*words: str | Path) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "forge_inference.calibrate", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "inference")}
    return await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit status, stdout and stderr; the profile is beside the questions."""

    async def ran(script: Script, questions: Path, *words: str | Path) -> tuple[int, str, str]:
        async with serving(script) as server:
            command = [questions, "--url", server.url, "--out", questions.with_suffix(".json"), *words]
            status = await asyncio.to_thread(main, list(map(str, command)))
        return status, *capsys.readouterr()

    return ran


async def test_a_boasting_model_is_measured_mended_and_drawn(tmp_path: Path) -> None:
    questions, plot, file = written(tmp_path / "lab.jsonl", a_boaster(300)), tmp_path / "lab.svg", tmp_path / "lab.json"
    async with serving(boasts) as server:
        process = await started(questions, "--url", server.url, "--out", file, "--plot", plot)
        out, err = [said.decode() for said in await process.communicate()]
    assert (process.returncode, err.splitlines()[-1]) == (0, "300 of 300 questions answered")
    assert len(err.splitlines()) == 10
    [profile] = read([file])
    content = profile.content
    assert content.fit.temperature == pytest.approx(2, rel=0.2)
    assert profile.differs(SERVED, "yes_no_maybe", "gene_function", 3) == []
    before, after = content.measured.before, content.measured.after
    assert after.nll < before.nll
    assert not before.is_as_perfect
    assert after.is_as_perfect
    assert "A perfectly calibrated model of this size would show as much" in out
    assert f"{after.ece:.4f}" in out
    drawn = ElementTree.parse(plot)  # noqa: S314 - our own
    texts = [element.text or "" for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith(f"calibrated (T = {content.fit.temperature:.2f})") for text in texts)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}circle"))) == 20


async def test_the_same_questions_and_seed_give_the_same_profile(tmp_path: Path, run: Run) -> None:
    questions, found = written(tmp_path / "lab.jsonl", a_boaster(60)), []
    for seed in ("3", "3", "4"):
        await run(boasts, questions, "--seed", seed)
        content = json.loads((tmp_path / "lab.json").read_text())
        found.append({key: content[key] for key in ("fit", "valid_for", "questions", "measured")})
    assert found[0] == found[1] != found[2]


async def test_too_few_to_be_called_calibrated_is_said(tmp_path: Path, run: Run) -> None:
    _, out, _ = await run(boasts, written(tmp_path / "few.jsonl", a_boaster(60)))
    assert "TOO FEW to be called calibrated: 60 of 200 answers" in out
    [profile] = read([tmp_path / "few.json"])
    assert profile.differs(SERVED, "yes_no_maybe", "gene_function", 3) == ["questions"]


async def test_likelihoods_in_which_no_temperature_helps_are_told_by_the_exit_status(tmp_path: Path, run: Run) -> None:
    async def split(asked: Asked) -> None:  # sure of itself in two ways, and right in one of them
        sure = 3.0 if int("".join(filter(str.isdigit, asked.body["query"]))) % 2 else 0.5
        options = [{"text": text, "mean_logprob": -sure * (text != "yes")} for text in OPTIONS]
        await reply(asked, an_answer(asked, options=options))

    asked = [a_question(number, expected=OPTIONS[number % 3] if number % 2 else "yes") for number in range(300)]
    status, out, _ = await run(split, written(tmp_path / "odd.jsonl", asked))
    assert status == 1
    assert "NOT MENDED" in out
    assert (tmp_path / "odd.json").exists()


async def test_a_server_that_has_no_room_is_asked_again(tmp_path: Path, run: Run) -> None:
    refused = set[str]()

    async def crowded(asked: Asked) -> None:
        if asked.body["query"] not in refused and len(refused) < 5:
            refused.add(asked.body["query"])
            await asked.refuse(429, "too many", retry_after="0")
        else:
            await boasts(asked)

    status, _, _ = await run(crowded, written(tmp_path / "lab.jsonl", a_boaster(60)))
    assert (status, len(refused)) == (0, 5)


async def test_a_question_that_it_abstained_from_does_not_count(tmp_path: Path, run: Run) -> None:
    async def shy(asked: Asked) -> None:
        if "GENE7 " in asked.body["query"]:
            await reply(asked, an_answer(asked, options=None, abstained=True))
        else:
            await boasts(asked)

    status, out, _ = await run(shy, written(tmp_path / "lab.jsonl", a_boaster(60)))
    assert status == 0
    assert "59 answers measured, 1 abstained and not counted" in out


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"error": {"message": "there is no model 'x'"}}, "line 7: no answer to a genomics question"),
        ("<html>", "line 7: the server answered no JSON: '<html>'"),
        ({"options": []}, "line 7: no answer to a genomics question"),
        ({"options": [{"text": "yes", "mean_logprob": "a"}]}, "line 7: no answer to a genomics question"),
        ({"options": [{"text": text, "mean_logprob": float("nan")} for text in OPTIONS]}, "line 7: a log-probability"),
        ({"provenance": {}}, "line 7: the answer's provenance lacks base_model_digest"),
        ({"provenance": {**PROVENANCE, "adapter_digest": "sha256:00"}}, "another adapter_digest than line 1"),
    ],
)
async def test_what_is_no_answer_of_this_server_ends_it_by_line(
    tmp_path: Path, run: Run, answer: Any, says: str
) -> None:
    async def odd(asked: Asked) -> None:
        if "GENE6 " not in asked.body["query"]:
            await boasts(asked)
        else:
            whole = isinstance(answer, str) or "error" in answer
            await reply(asked, answer if whole else an_answer(asked, **answer))

    status, _, err = await run(odd, written(tmp_path / "lab.jsonl", a_boaster(60)))
    assert status == 2
    assert says in err
    assert "Traceback" not in err
    assert not (tmp_path / "lab.json").exists()


async def test_a_refusal_and_a_server_that_is_not_there_are_told(
    tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuses(asked: Asked) -> None:
        await asked.refuse(404, "there is no model 'nobody'; there are hbb, base")

    questions = written(tmp_path / "lab.jsonl", a_boaster(60))
    status, _, err = await run(refuses, questions, "--model", "nobody")
    assert status == 2
    assert "the server answered 404: there is no model 'nobody'; there are hbb, base" in err
    words = [str(questions), "--url", "http://127.0.0.1:9", "--out", str(tmp_path / "lab.json")]
    assert await asyncio.to_thread(main, words) == 2
    assert "http://127.0.0.1:9 did not answer" in capsys.readouterr().err


def test_a_rehearsal_asks_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path / "lab.jsonl", a_boaster(60))), "--dry-run"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("lab.jsonl: 60 questions, yes_no_maybe")
    assert err == ""


async def test_an_interrupted_run_writes_nothing(tmp_path: Path) -> None:
    reached = asyncio.Event()

    async def silent(asked: Asked) -> None:
        reached.set()
        await asyncio.Event().wait()

    async with serving(silent) as server:
        questions, out = written(tmp_path / "lab.jsonl", a_boaster(60)), tmp_path / "lab.json"
        process = await started(questions, "--url", server.url, "--out", out)
        await asyncio.wait_for(reached.wait(), 60)
        process.send_signal(signal.SIGINT)
        _, errors = await process.communicate()
    assert (process.returncode, errors) == (130, b"interrupted; nothing was written\n")
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "say which server is asked (--url) and where the profile goes (--out)"),
        (["--url", "lab", "--out", "p.json"], "begins with http:// or https://"),
        (["--url", "http://lab", "--out", "nowhere/p.json"], "its folder is missing"),
        (["--url", "http://lab", "--out", "p.json", "--plot", "p.png"], "plots are written as .svg"),
        (["--bins", "1"], "'1' is no whole number from 2 to 100"),
    ],
)
def test_wrong_usage_names_the_flag(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "lab.jsonl"), *words])
    assert ended.value.code == 2
    assert says in capsys.readouterr().err
