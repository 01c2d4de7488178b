"""What is removed, and what never is."""

import copy

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import desired
from forge_operator.cluster.prune import prune
from forge_operator.control.cache import Id
from tests.support.fake_cluster import FakeCluster
from tests.support.models import a_model, some_settings

MODEL = a_model(replicas=2)
BUDGET = next(c for c in desired(MODEL, some_settings()) if c["kind"] == "PodDisruptionBudget")
PLACE = Id("PodDisruptionBudget", "lab", "hbb-expert")


def cluster_with(**metadata: object) -> FakeCluster:
    cluster = FakeCluster()
    budget: Manifest = copy.deepcopy(BUDGET)
    budget["metadata"].update(metadata)
    cluster.put("PodDisruptionBudget", budget)
    return cluster


async def test_an_unwanted_child_goes() -> None:
    cluster = cluster_with()
    assert len(await prune(cluster, MODEL, "PodDisruptionBudget", keep=())) == 1
    assert cluster.writes == [("delete", PLACE)]
    assert cluster.objects == {}


async def test_a_wanted_child_stays() -> None:
    cluster = cluster_with()
    assert await prune(cluster, MODEL, "PodDisruptionBudget", keep={"hbb-expert"}) == []


async def test_an_object_that_only_wears_our_label_stays() -> None:
    cluster = cluster_with(ownerReferences=[])
    assert await prune(cluster, MODEL, "PodDisruptionBudget", keep=()) == []
    assert PLACE in cluster.objects


async def test_a_child_of_another_namespace_stays() -> None:
    cluster = cluster_with(namespace="elsewhere")
    assert await prune(cluster, MODEL, "PodDisruptionBudget", keep=()) == []


async def test_an_object_that_took_the_name_between_look_and_deletion_stays() -> None:
    cluster = cluster_with()

    def replaced(verb: str, place: Id) -> None:
        if verb == "delete":
            cluster.put(place.kind, {"metadata": {"name": place.name, "namespace": place.namespace, "uid": "new"}})

    cluster.refuse = replaced
    assert await prune(cluster, MODEL, "PodDisruptionBudget", keep=()) == []
    assert cluster.objects[PLACE]["metadata"]["uid"] == "new"
