"""The rim: what Kopf is told, what probes answer, how log lines look, how the process ends."""

import json
import logging
import socket
import sys
from pathlib import Path

import aiohttp
import kopf
import pytest
import yaml

from forge_operator.__main__ import main
from forge_operator.cluster.kinds import CHILDREN, MODEL, POD
from forge_operator.handlers import watches
from forge_operator.handlers.logs import Json
from forge_operator.handlers.probes import probe, serving, text

WATCHED = (MODEL, *CHILDREN.values(), POD)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_kopf_writes_nothing_and_never_gives_up() -> None:
    chosen = watches.settings(WATCHED)
    assert not chosen.posting.enabled
    assert chosen.peering.standalone
    assert chosen.scanning.disabled
    pauses = iter(chosen.networking.error_backoffs)  # type: ignore[arg-type]
    assert sum(next(pauses) for _ in range(1000)) > 3600


def test_every_watch_but_the_models_shows_only_what_we_labelled() -> None:
    chosen = watches.settings(WATCHED)
    for kind in WATCHED:
        resource = kopf.Resource(kind.group, kind.version, kind.plural)
        found = set(chosen.watching.label_selectors.collect(resource))
        expected = set() if kind.name == "ScientificModel" else {"app.kubernetes.io/managed-by=scientificllm-forge"}
        assert found == expected, kind


async def test_probes_answer_what_is_wrong() -> None:
    wrong: list[str | None] = [None, "no watch tells of Service"]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    answers = {"/livez": probe(lambda: wrong.pop(0)), "/metrics": text(lambda: b"up 1\n")}
    async with serving(port, answers), aiohttp.ClientSession() as session:
        async with session.get(f"{url}/livez") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        async with session.get(f"{url}/livez") as answer:
            assert (answer.status, await answer.text()) == (503, "no watch tells of Service\n")
        async with session.get(f"{url}/metrics") as answer:
            assert (await answer.read()) == b"up 1\n"


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=str(port)):
            async with serving(port, {}):
                pass


def test_a_log_line_is_one_json_object() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("forge", logging.ERROR, "", 1, "failed %s", ("here",), sys.exc_info())
    record.model = "lab/hbb"
    [line] = Json().format(record).splitlines()
    found = json.loads(line)
    assert (found["message"], found["model"], found["level"]) == ("failed here", "lab/hbb", "error")
    assert "two\nlines" in found["exception"]


def config(folder: Path, **changes: object) -> str:
    content = {"image": "x:1", "defaultProfile": "cpu", "profiles": {"cpu": {}}, "logFormat": "text", **changes}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_a_wrong_setting_is_named_and_ends_with_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", config(tmp_path, workers=0)]) == 2
    assert "workers" in capsys.readouterr().err


def test_a_missing_kubeconfig_is_named_and_ends_with_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", config(tmp_path), "--kubeconfig", str(tmp_path / "none")]) == 2
    assert str(tmp_path / "none") in capsys.readouterr().err


def test_help_tells_what_it_needs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--kubeconfig FILE" in capsys.readouterr().out
