"""The command line: what it understands, and what it says of what it does not."""

from pathlib import Path

import pytest

from forge_inference.load.__main__ import main
from forge_inference.load.arrivals import Phase
from forge_inference.load.figures import Slo
from forge_inference.load.options import Options, parse
from forge_inference.load.prompts import QUESTIONS

URL = "http://localhost:8000"


def parsed(*words: str, url: str = URL, **environment: str) -> Options:
    return parse([url, *words], environment)


def test_little_needs_to_be_said() -> None:
    found = parsed("--rate", "2:60s,10:120s")
    assert found.target.url == "http://localhost:8000/v1/chat/completions"
    assert found.demand.phases == (Phase(2, 2, 60), Phase(10, 10, 120))
    assert (found.demand.process, found.demand.seconds, found.demand.warmup) == ("poisson", 180, 1)
    assert found.demand.prompts.texts == QUESTIONS
    assert not found.slo
    assert found.target.wish.model is None


@pytest.mark.parametrize(
    ("url", "words", "address"),
    [
        (f"{URL}/", [], "/v1/chat/completions"),
        (URL, ["--api", "generate"], "/api/v1/generate"),
        (f"{URL}/v1", ["--api", "completions"], "/v1/completions"),
        (f"{URL}/v1/completions", [], "/v1/completions"),
        (f"{URL}/models/m/v1", [], "/models/m/v1/chat/completions"),
    ],
)
def test_the_address_may_be_the_servers_or_a_routes(url: str, words: list[str], address: str) -> None:
    found = parsed(*words, "--rate", "1", url=url).target
    assert found.url == URL + address
    assert found.url.endswith(found.dialect.path)


def test_objectives_are_read_in_seconds() -> None:
    found = parsed("--rate", "1", "--slo", "ttft=500ms,e2e=10s", "--slo-share", "0.99")
    assert found.slo == Slo(ttft=0.5, e2e=10, share=0.99)


def test_secrets_come_from_the_environment() -> None:
    words = ["--rate", "1", "--header", "Authorization: Bearer ${LAB_TOKEN}", "--header", "X-Run: 7"]
    assert parsed(*words, LAB_TOKEN="s3cret").demand.headers == {"Authorization": "Bearer s3cret", "X-Run": "7"}


def test_prompts_come_from_a_file(tmp_path: Path) -> None:
    plain, objects = tmp_path / "a.txt", tmp_path / "b.jsonl"
    plain.write_text("What is HBB?\n\n  And CFTR? \n")
    objects.write_text('{"prompt": "one\\ntwo", "id": 7}\n')
    assert parsed("--rate", "1", "--prompts", str(plain)).demand.prompts.texts == ("What is HBB?", "And CFTR?")
    assert parsed("--rate", "1", "--prompts", str(objects)).demand.prompts.texts == ("one\ntwo",)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "say how much load"),
        (["--rate", "1", "--concurrency", "2"], "not allowed with"),
        (["--rate", "fast"], "is no rate"),
        (["--rate", "1", "--duration", "soon"], "--duration: 'soon' is no duration"),
        (["--rate", "1", "--max-tokens", "0"], "--max-tokens: '0' is no whole number of at least 1"),
        (["--rate", "1", "--max-error-rate", "5"], "--max-error-rate: '5' is not between 0 and 1"),
        (["--rate", "1", "--slo", "speed=1s"], "--slo: 'speed=1s' is no objective"),
        (["--rate", "1", "--slo", "ttft=quick"], "--slo: 'quick' is no duration"),
        (["--rate", "1", "--api", "generate", "--ignore-eos"], "--ignore-eos: /api/v1/generate has no such field"),
        (["--rate", "1", "--header", "Authorization: Bearer abc"], "a secret on the command line"),
        (["--rate", "1", "--header", "X-Api-Key: abc"], "a secret on the command line"),
        (["--rate", "1", "--header", "Authorization: ${GONE}"], "the environment has no GONE"),
        (["--rate", "1", "--header", "nothing"], "write 'NAME: VALUE'"),
        (["--rate", "1", "--json", "/nowhere/load.json"], "--json: /nowhere/load.json: its folder is missing"),
        (["--rate", "1", "--plot", "load.png"], "written as .svg"),
        (["--rate", "1", "--prompts", "/nowhere"], "/nowhere: No such file"),
    ],
)
def test_what_is_wrong_is_said_with_its_flag_before_anything_is_sent(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(*words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:8000", "begins with http://"),
        ("http://", "begins with http://"),
        ("http://me:secret@host", "must not contain a password"),
        (f"{URL}/v1/completions", "the URL names the route of --api completions"),
    ],
)
def test_a_wrong_address_is_said(url: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--rate", "1", "--api", "chat", url=url)
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("p.jsonl", '{"prompt": "a"}\n{"text": "b"}\n', "line 2: each line must be an object"),
        ("p.jsonl", '{"prompt": 7}\n', "line 1: `prompt` must be a text"),
        ("p.txt", "\n \n", "has no prompts"),
    ],
)
def test_a_wrong_file_of_prompts_is_named_with_its_line(
    tmp_path: Path, name: str, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(SystemExit):
        parsed("--rate", "1", "--prompts", str(tmp_path / name))
    assert f"{tmp_path / name}" in (said := capsys.readouterr().err)
    assert says in said


def test_a_rehearsal_prints_the_schedule_and_sends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([URL, "--rate", "2:1s,4:1s", "--arrivals", "constant", "--dry-run"]) == 0
    said = capsys.readouterr()
    assert [line.split("\t")[0] for line in said.out.splitlines()] == [
        "0.000",
        "0.500",
        "1.000",
        "1.250",
        "1.500",
        "1.750",
    ]
    assert QUESTIONS[0] in said.out
    assert "none was sent" in said.err


def test_help_has_an_example_for_each_purpose_and_the_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "exit status:" in said
    for line in said.split("examples:")[1].replace("\\\n", "").splitlines():
        if line.strip().startswith("python -m"):  # each of them is understood
            words = line.replace("'", "").split()[3:]
            header = words.index("--header") if "--header" in words else len(words)
            joined = [*words[:header], *(["--header", " ".join(words[header + 1 :])] if header < len(words) else [])]
            parse(joined, {"LAB_TOKEN": "x"})
