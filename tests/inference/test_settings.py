"""Tasks and files that the settings name."""

from pathlib import Path

import pytest

from forge_inference.settings import InvalidSettings, Settings, read

PAIR = ["--checkpoint", "/a", "--base-model", "/b"]


def _read(*words: str) -> Settings:
    return read([*PAIR, *words])


@pytest.mark.parametrize(
    ("words", "served"),
    [
        ([], ("generate", "genomics", "papers")),
        (["--tasks", "papers, genomics"], ("genomics", "papers")),
        (["--tasks", "generate,generate"], ("generate",)),
    ],
)
def test_every_task_is_served_unless_some_are_named(words: list[str], served: tuple[str, ...]) -> None:
    assert _read(*words).served == served


@pytest.mark.parametrize("tasks", ["", ",", "paper", "genomics,chat"])
def test_no_task_and_one_that_does_not_exist_are_refused_with_those_that_do(tasks: str) -> None:
    with pytest.raises(InvalidSettings, match=r"--tasks \(FORGE_TASKS\): .*one or more of generate, genomics, papers"):
        _read("--tasks", tasks)


def test_lexicons_are_files_and_what_is_in_folders_but_for_hidden_ones(tmp_path: Path) -> None:
    folder = tmp_path / "ontologies"
    folder.mkdir()
    for name in ("mondo.obo", "go.obo", ".fetched.json"):
        (folder / name).touch()
    (folder / "old").mkdir()
    genes = tmp_path / "genes.tsv"
    genes.touch()
    found = _read("--lexicons", f"{genes}, {folder}").lexicon_files
    assert found == [genes, folder / "go.obo", folder / "mondo.obo"]


def test_a_lexicon_that_is_not_there_is_named_and_so_is_a_folder_without_any(tmp_path: Path) -> None:
    for path in (tmp_path / "none.tsv", tmp_path):
        with pytest.raises(InvalidSettings, match=rf"--lexicons \(FORGE_LEXICONS\): there is no file {path}$"):
            _read("--lexicons", str(path))
