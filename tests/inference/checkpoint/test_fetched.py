"""The note that the fetcher leaves beside the files: believed where it is about them, and harmless elsewhere."""

import json
import logging
from pathlib import Path

import pytest

from forge_inference.checkpoint.fetched import NOTE, Fetched, read

SAID = {
    "uri": "hf://org/run",
    "revision": "5d1c",
    "digest": "sha256:cc",
    "bytes": 9,
    "seconds": 0.1,
    "fromCache": False,
}


def _folder(folder: Path, text: str) -> Path:
    (folder / NOTE).write_text(text)
    return folder


def test_it_tells_the_version_and_the_digest(tmp_path: Path) -> None:
    assert read(_folder(tmp_path, json.dumps(SAID)), "hf://org/run") == Fetched("sha256:cc", "5d1c")


def test_a_source_without_versions_has_no_revision(tmp_path: Path) -> None:
    found = read(_folder(tmp_path, json.dumps({**SAID, "uri": "s3://b/run", "revision": ""})), "s3://b/run")
    assert found == Fetched("sha256:cc", None)


def test_a_note_that_was_copied_to_a_claim_is_not_about_its_files(tmp_path: Path) -> None:
    assert read(_folder(tmp_path, json.dumps(SAID)), "pvc://models/run") is None


def test_most_folders_have_none(tmp_path: Path) -> None:
    assert read(tmp_path, "pvc://models/run") is None


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, '{"uri": "hf://org/run"}'], ids=lambda text: text[:10])
def test_a_broken_note_is_passed_over_with_a_word_in_the_log(
    tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert read(_folder(tmp_path, text), "hf://org/run") is None
    assert NOTE in caplog.text
