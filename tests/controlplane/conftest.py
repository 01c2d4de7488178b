"""A person, an operator and pods that talk, on the control plane of `control_plane` (tests/conftest.py)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.lab import Lab
from tests.harness.controlplane import ControlPlane
from tests.support import operators
from tests.support.kube import AuditLog, Kube, connected
from tests.support.operators import Installed, Operator
from tests.support.pods import AdminPort, admin_port

RELEASE = "forge-system"


@pytest.fixture(scope="session")
def kube(control_plane: ControlPlane) -> Iterator[Kube]:
    with connected(control_plane.kubeconfig) as person:
        yield person


@pytest.fixture(scope="session")
def installed(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The chart with its default values, but for the operator's pods."""
    found = operators.install(kube, tmp_path_factory.mktemp("installed"), RELEASE)
    operators.await_crd(kube)
    return found


@pytest.fixture(scope="session")
def _admin() -> Iterator[AdminPort]:
    with admin_port() as port:
        yield port


@pytest.fixture
def admin(_admin: AdminPort) -> Iterator[AdminPort]:
    """What all pods say, healthy unless the test says otherwise."""
    _admin.reset()
    yield _admin
    _admin.reset()


@pytest.fixture(scope="module")
def operator(installed: Installed, _admin: AdminPort, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One operator for all tests of a module."""
    with operators.running(installed, tmp_path_factory.mktemp("operator")) as process:
        yield process


@pytest.fixture
def audit(control_plane: ControlPlane) -> AuditLog:
    """Writes from now on."""
    log = AuditLog(control_plane.audit_log)
    log.mark()
    return log


@pytest.fixture
def lab(kube: Kube, installed: Installed) -> Iterator[Lab]:
    """A namespace of the test's own, deleted after it."""
    with Lab.created(kube) as own:
        yield own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
