"""Where tests get a cluster from. Everything else is in the folders."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.harness import backends, controlplane
from tests.harness.backends import Cluster
from tests.harness.controlplane import ControlPlane
from tests.harness.errors import HarnessError, NoClusterError


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kubeconfig", type=Path, help="run the cluster tests on this cluster instead of kind")
    parser.addoption("--keda", action="store_true", help="run KEDA itself too; its programs take ten minutes to build")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Make what the chosen tests need before the first of them.

    Cold it takes tens of minutes: a person shall see how far it is, and no test's time limit is for it.
    """
    if session.config.option.collectonly:
        return
    needed = {mark.name for item in session.items for mark in item.iter_markers()}
    capture = session.config.pluginmanager.getplugin("capturemanager")
    # What cannot be made is told by the fixtures, of the tests that need it.
    with capture.global_and_fixture_disabled(), suppress(HarnessError):
        if "controlplane" in needed:
            controlplane.prepare()
        if "cluster" in needed:
            backends.ensure(session.config.getoption("--kubeconfig"))


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server with kwok's fake kubelet, of this run alone."""
    name = f"forge-test-{os.getpid()}"
    kubeconfig = tmp_path_factory.mktemp("control-plane") / "kubeconfig"
    with _skipped_where_impossible(HarnessError):
        plane = controlplane.start(name, kubeconfig)
    try:
        yield plane
    finally:
        controlplane.stop(name, kubeconfig)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """A real cluster with both images; it stays for the next run, `make clean-cluster` removes it."""
    with _skipped_where_impossible(NoClusterError):
        return backends.ensure(request.config.getoption("--kubeconfig"))


@contextmanager
def _skipped_where_impossible(impossible: type[HarnessError]) -> Iterator[None]:
    """What a machine cannot do is skipped with the reason; in CI it is an error, or nothing would be tested."""
    try:
        yield
    except impossible as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
