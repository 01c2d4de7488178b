"""The two rooms stay plain folders: an __init__.py there would shadow the standard library's `operator`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMIT = 300


@pytest.mark.parametrize("room", ["operator", "inference"])
def test_a_room_is_a_folder_and_never_a_package(room: str) -> None:
    assert not (ROOT / room / "__init__.py").exists()


def test_the_standard_library_still_owns_the_name_operator() -> None:
    import operator

    assert hasattr(operator, "itemgetter")


def test_every_test_folder_is_a_package_so_that_equal_file_names_do_not_clash() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_no_python_file_is_longer_than_the_house_allows() -> None:
    rooms = ("operator", "inference", "tests", "examples", "charts")
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    assert [f"{path.relative_to(ROOT)}" for path in files if len(path.read_text().splitlines()) > LIMIT] == []
