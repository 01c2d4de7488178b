"""The program as a person and as an operator call it."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from forge_inference.sources import addresses, settings
from forge_inference.sources.__main__ import main
from forge_inference.sources.errors import SourceError
from forge_inference.sources.files import Placed, content_digest
from tests.support.fetching import Pod


def test_settings_come_from_the_environment_and_empty_ones_are_unset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "URI": "s3://models/a",
        "TO": str(tmp_path / "x"),
        "REVISION": "",
        "SHA256": "",
        "CACHE": "",
        "HOSTS": "a.org, *.b.org",
        "MIRRORS": '{"Huggingface.co": "https://mirror.lab/hf"}',
        "OFFLINE": "true",
        "MAX_BYTES": "",
    }.items():
        monkeypatch.setenv(f"FORGE_FETCH_{name}", value)
    found = settings.read(["--max-bytes", "7"])
    assert (found.uri, found.to, found.cache, found.offline) == ("s3://models/a", tmp_path / "x", None, True)
    assert (found.policy.hosts, found.max_bytes) == (("a.org", "*.b.org"), 7)
    assert found.policy.mirror("huggingface.co") == "https://mirror.lab/hf"
    assert settings.read(["hf://a/b"]).uri == "hf://a/b"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["hf://a/b"], "--to (FORGE_FETCH_TO): Field required"),
        (["--to", "/tmp/none/x"], "URI (FORGE_FETCH_URI): missing"),
        (["hf://a/b", "--to", "/proc"], "--to (FORGE_FETCH_TO): /proc is a volume's root"),
        (["hf://a/b", "--to", "/etc"], "holds files that were not fetched"),
        (["hf://a/b", "--to", "/tmp/none/x", "--sha256", "abc"], "--sha256 (FORGE_FETCH_SHA256)"),
        (["hf://a/b", "--to", "/tmp/none/x", "--mirrors", "{no"], "--mirrors (FORGE_FETCH_MIRRORS): not JSON"),
        (["hf://a/b", "--to", "/tmp/none/x", "--mirrors", '{"a": "b"}'], "a: b is not a base URL"),
        (["hf://a/b", "--to", "/tmp/none/x", "--max-bytes", "0"], "--max-bytes (FORGE_FETCH_MAX_BYTES)"),
    ],
)
def test_a_wrong_setting_ends_with_2_and_its_name(
    words: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORGE_TERMINATION_LOG", str(tmp_path / "last-words"))
    assert main(["fetch", *words]) == 2
    assert says in capsys.readouterr().err
    told = json.loads((tmp_path / "last-words").read_text())
    assert (told["reason"], says in told["message"]) == ("InvalidSettings", True)


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["fetch", "--help"])
    told = capsys.readouterr().out
    for name in settings.Settings.model_fields:
        assert f"--{name.replace('_', '-')}" in told or name == "uri"
    assert (main(["--help"]), main([])) == (0, 2)


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("no uri", "not a URI"),
        ("pvc://models/x", "it is mounted, not downloaded"),
        ("https://user:pass@host/x", "holds credentials"),
        ("https:///x", "names no host"),
        ("https://host:port/x", "malformed"),
        ("hf://a/b\nc", "not a URI"),
        ("https://evil.org\\@allowed.org/x", "not a URI"),
    ],
)
def test_a_uri_that_is_none_is_refused_without_repeating_it(uri: str, words: str) -> None:
    with pytest.raises(SourceError, match=words) as refused:
        addresses.parse(uri)
    assert "user" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "reason", "words"),
    [
        ("ftp://host/x", "SourceDenied", "does not allow ftp:// sources. Allowed here: hf://, s3://, https://, oci://"),
        ("hf://only-one-part", "SourceInvalid", "write hf://org/repo"),
        ("https://nowhere.invalid/x.tar", "SourceUnavailable", "The name nowhere.invalid is not known here"),
        (f"https://{'a' * 70}.org/x.tar", "SourceInvalid", "is no name of a host"),
        ("https://localhost/x.tar", "SourceDenied", "loopback address"),
        ("https://169.254.169.254/latest/meta-data", "SourceDenied", "link-local address 169.254.169.254"),
    ],
)
def test_a_source_that_is_refused_ends_with_1_and_last_words(pod: Pod, uri: str, reason: str, words: str) -> None:
    outcome = pod.fetch(uri, hosts="*", timeout_seconds=5 if reason == "SourceUnavailable" else 60)
    assert (outcome.status, outcome.reason) == (1, reason), outcome.log
    assert words in outcome.log
    assert outcome.message in outcome.log


def test_the_digest_is_what_sha256sum_makes_of_it(tmp_path: Path) -> None:
    files = {"b.txt": b"b", "a/c d.txt": b"c", "Z": b""}
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    command = "find . -type f ! -name .fetched.json -printf '%P\\0' | xargs -0 sha256sum | LC_ALL=C sort | sha256sum"
    told = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=True).stdout.decode()
    placed = {path: Placed(len(data), hashlib.sha256(data).hexdigest()) for path, data in files.items()}
    assert content_digest(placed) == told.split()[0]
