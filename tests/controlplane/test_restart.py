"""The operator ends and begins again, alone and as one of two."""

from pathlib import Path

import pytest

from tests.controlplane.lab import Lab
from tests.support.kube import AuditLog, Kube
from tests.support.operators import Installed, Operator, running

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("admin")]


def leader(kube: Kube, installed: Installed) -> str:
    election = installed.settings["leaderElection"]
    lease = kube.find("Lease", election["leaseName"], election["namespace"])
    return str(lease["spec"].get("holderIdentity") or "") if lease else ""


def reacts(lab: Lab, name: str) -> None:
    """Some operator is at work: a new model is served."""
    lab.create(name)
    lab.settled(name)


def test_a_restart_writes_nothing(lab: Lab, installed: Installed, audit: AuditLog, folder: Path) -> None:
    with running(installed, folder):
        for name in ("one", "two", "three"):
            lab.create(name, replicas=2)
        lab.create("refused", profile="unknown")
        for name in ("one", "two", "three"):
            lab.settled(name)
        lab.awaits("Ready", "False", "InvalidSpec", "refused")
    audit.mark()
    with running(installed, folder):
        reacts(lab, "four")  # by then it has seen the others, which came first
    about = {write.name for write in audit.writes(installed.user, lab.namespace)}
    assert about == {"four"}


def test_what_changed_while_no_operator_ran_is_made_up_for(lab: Lab, installed: Installed, folder: Path) -> None:
    with running(installed, folder):
        lab.create("edited")
        lab.create("drifted", replicas=2)
        gone = lab.settled("edited")
        drifted = lab.settled("drifted")
    lab.edit("edited", replicas=3)
    lab.kube.delete("Service", "edited", lab.namespace)
    lab.kube.patch("Deployment", "drifted", lab.namespace, {"spec": {"replicas": 7}})
    lab.edit("drifted", replicas=1)  # and so its budget must go
    lab.create("born")
    with running(installed, folder):
        lab.settled("born")
        assert len(lab.pods(lab.settled("edited"))) == 3
        assert "Service" in lab.children(gone)
        lab.settled("drifted")
        lab.eventually(lambda: "PodDisruptionBudget" not in lab.children(drifted), "the old budget to go")


def test_it_ends_well_when_asked_to_and_gives_its_lease_back(
    kube: Kube, installed: Installed, folder: Path, lab: Lab
) -> None:
    with running(installed, folder) as operator:
        reacts(lab, "hbb")
        assert leader(kube, installed)
        assert operator.stop() == 0
    assert leader(kube, installed) == ""


@pytest.fixture
def pair(installed: Installed, folder: Path, lab: Lab) -> object:
    """A leader, proved by its work, and one that waits."""
    with running(installed, folder) as first:
        reacts(lab, "before")
        with running(installed, folder, ready="/livez") as second:
            yield first, second


def test_one_of_two_operators_works_and_the_other_takes_over_when_it_dies(
    kube: Kube, installed: Installed, lab: Lab, audit: AuditLog, pair: tuple[Operator, Operator]
) -> None:
    first, second = pair
    holder = leader(kube, installed)
    reacts(lab, "during")
    assert leader(kube, installed) == holder
    first.kill()
    lab.eventually(lambda: leader(kube, installed) not in ("", holder), "another leader", limit=60)
    reacts(lab, "after")
    assert second.answers("/readyz")
    creations = [w.name for w in audit.writes(installed.user, lab.namespace) if w.resource == "deployments"]
    assert creations.count("during") == 1, "only the leader wrote"


def test_a_leader_that_stops_is_followed_at_once(
    kube: Kube, installed: Installed, lab: Lab, pair: tuple[Operator, Operator]
) -> None:
    first, _ = pair
    holder = leader(kube, installed)
    first.stop()
    lab.eventually(lambda: leader(kube, installed) not in ("", holder), "another leader", limit=15)
    reacts(lab, "after")


def test_a_leader_that_loses_its_lease_ends(kube: Kube, installed: Installed, lab: Lab, folder: Path) -> None:
    with running(installed, folder) as operator:
        reacts(lab, "hbb")
        election = installed.settings["leaderElection"]
        theirs = {"spec": {"holderIdentity": "somebody-else", "renewTime": "2099-01-01T00:00:00.000000Z"}}
        kube.patch("Lease", election["leaseName"], election["namespace"], theirs)
        assert operator.wait(limit=60) != 0
    kube.delete("Lease", election["leaseName"], election["namespace"])
