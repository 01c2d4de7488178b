"""The number of pods when it passes to an autoscaler and back, on an API server in memory that knows who holds it."""

from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import desired
from forge_operator.cluster.apply import Applier
from forge_operator.cluster.handover import HOLDER
from forge_operator.control.cache import Id
from tests.support.fake_cluster import FakeCluster
from tests.support.models import a_model, some_settings

PLACE = Id("Deployment", "lab", "hbb-expert")
WISH = {"maxReplicas": 9}


class Lab:
    """One model's Deployment, applied again and again."""

    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self._applier = Applier(self.cluster)

    async def apply(self, live: Manifest | None = None, **spec: Any) -> None:
        """`live`: as it was seen last; as it is, unless a test says otherwise."""
        model = a_model(**spec)
        [child] = [child for child in desired(model, some_settings()) if child["kind"] == "Deployment"]
        await self._applier.apply(child, model, live or self.cluster.objects.get(PLACE))

    @property
    def replicas(self) -> int:
        return int(self.cluster.objects[PLACE]["spec"]["replicas"])


async def test_an_autoscaler_takes_over_the_number_that_is_there() -> None:
    lab = Lab()
    await lab.apply(replicas=4)
    await lab.apply(replicas=4, autoscaling=WISH)
    assert lab.replicas == 4
    assert lab.cluster.holders[PLACE] == {HOLDER}


async def test_without_the_handover_the_number_would_fall_to_one() -> None:
    lab = Lab()
    await lab.apply(replicas=4)
    model = a_model(replicas=4, autoscaling=WISH)
    [child] = [child for child in desired(model, some_settings()) if child["kind"] == "Deployment"]
    await lab.cluster.apply(child, lab.cluster.objects[PLACE]["metadata"]["uid"])
    assert lab.replicas == 1, "the test's API server would hide the fault"


async def test_a_number_that_somebody_set_meanwhile_stays() -> None:
    lab = Lab()
    await lab.apply(replicas=4)
    seen = dict(lab.cluster.objects[PLACE])
    lab.cluster.scaled_by("an-autoscaler", PLACE, 7)
    await lab.apply(seen, replicas=4, autoscaling=WISH)
    assert lab.replicas == 7


async def test_what_an_autoscaler_set_outlives_every_other_change() -> None:
    lab = Lab()
    await lab.apply(autoscaling=WISH)
    assert lab.replicas == 1
    lab.cluster.scaled_by("an-autoscaler", PLACE, 5)
    await lab.apply(autoscaling=WISH, serving={"maxQueue": 3})
    assert lab.replicas == 5


async def test_when_autoscaling_ends_the_spec_counts_again() -> None:
    lab = Lab()
    await lab.apply(autoscaling=WISH)
    lab.cluster.scaled_by("an-autoscaler", PLACE, 5)
    await lab.apply(replicas=2)
    assert lab.replicas == 2


async def test_a_deployment_at_rest_is_handed_over_to_nobody() -> None:
    lab = Lab()
    await lab.apply(autoscaling=WISH)
    lab.cluster.writes.clear()
    await lab.apply(autoscaling=WISH)
    assert lab.cluster.writes == []


@pytest.mark.parametrize("kind", ["Service", "NetworkPolicy"])
async def test_only_deployments_have_a_number_to_hand_over(kind: str) -> None:
    lab = Lab()
    model = a_model()
    [child] = [child for child in desired(model, some_settings()) if child["kind"] == kind]
    place = Id(kind, "lab", "hbb-expert")
    lab.cluster.put(kind, {**child, "spec": {"replicas": 3}})
    await Applier(lab.cluster).apply(child, model, lab.cluster.objects[place])
    assert lab.cluster.writes == [("apply", place)]
