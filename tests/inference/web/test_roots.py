"""Which folders a checkpoint may be loaded from."""

from pathlib import Path

import pytest

from forge_inference.engine.errors import CheckpointNotFound, EngineError, Forbidden, InvalidRequest
from forge_inference.web.roots import Roots


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """Two roots, `runs` (by a link) and `shared`, and what is outside of them."""
    for name in ("disk/runs/1", "shared/1", "shared/2", "outside/secret", "runs-of-others/1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "disk/runs/1/adapter_config.json").write_text("{}")
    (tmp_path / "runs").symlink_to("disk/runs")
    return tmp_path


@pytest.fixture
def roots(lab: Path) -> Roots:
    return Roots([lab / "runs", lab / "shared"])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("{lab}/runs/1", "disk/runs/1"),
        ("{lab}/disk/runs/1", "disk/runs/1"),
        ("{lab}/shared/../runs/1/", "disk/runs/1"),
        ("1", "disk/runs/1"),
        ("2", "shared/2"),
        ("{lab}/runs", "disk/runs"),
    ],
)
def test_a_folder_inside_of_a_root_is_found_without_links(roots: Roots, lab: Path, path: str, found: str) -> None:
    assert roots.checkpoint(path.format(lab=lab)) == lab / found


@pytest.mark.parametrize(
    "path",
    [
        "{lab}/outside",
        "{lab}/runs/../outside/secret",
        "{lab}/runs-of-others/1",
        "../outside/secret",
        "/",
        "/etc/passwd",
        "/proc/self/root{lab}/outside",
        "{lab}/runs/1/../../../../outside/secret",
        "{lab}/no/such/place",
    ],
)
def test_what_is_outside_is_forbidden_whether_it_exists_or_not(roots: Roots, lab: Path, path: str) -> None:
    with pytest.raises(Forbidden, match=r"is not inside of --model-roots, which are .*/disk/runs, .*/shared"):
        roots.checkpoint(path.format(lab=lab))


def test_a_link_that_leads_out_is_forbidden(roots: Roots, lab: Path) -> None:
    (lab / "shared/way-out").symlink_to(lab / "outside/secret")
    with pytest.raises(Forbidden, match="is not inside"):
        roots.checkpoint(str(lab / "shared/way-out"))


def test_a_link_from_root_to_root_is_none_that_leads_out(roots: Roots, lab: Path) -> None:
    (lab / "shared/3").symlink_to(lab / "runs/1")
    assert roots.checkpoint("3") == lab / "disk/runs/1"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("3", CheckpointNotFound),
        ("1/adapter_config.json", CheckpointNotFound),
        ("1\0", InvalidRequest),
        ("\ud800", InvalidRequest),
        ("x" * 4000, InvalidRequest),
    ],
)
def test_what_is_no_folder_is_told_so(roots: Roots, path: str, error: type[EngineError]) -> None:
    with pytest.raises(error, match="model_path: "):
        roots.checkpoint(path)


def test_links_in_a_circle_are_no_path(roots: Roots, lab: Path) -> None:
    (lab / "shared/circle").symlink_to(lab / "shared/circle")
    with pytest.raises(InvalidRequest, match="model_path: "):
        roots.checkpoint(str(lab / "shared/circle"))


def test_without_roots_the_flag_is_named() -> None:
    with pytest.raises(Forbidden, match=r"--model-roots \(FORGE_MODEL_ROOTS\)"):
        Roots().checkpoint("/")


def test_where_a_resource_says_what_is_served_nothing_else_is_loaded(lab: Path) -> None:
    with pytest.raises(Forbidden, match=r"change spec\.checkpoint\.uri"):
        Roots([lab / "runs"], of_a_resource=True).checkpoint("1")
