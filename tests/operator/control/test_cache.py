"""What the cache believes when news come late, twice or not at all."""

import copy
from typing import Any

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import desired
from forge_operator.control.cache import Cache, Id, Key
from tests.support.models import UID, a_body, a_live_deployment, a_model, a_pod, some_settings

KEY = Key("lab", "hbb-expert")
MODEL = a_model(replicas=2)


def versioned(thing: Manifest, version: int, **metadata: Any) -> Manifest:
    found = copy.deepcopy(thing)
    found["metadata"].update({"uid": "u1", "resourceVersion": str(version), **metadata})
    return found


def service(version: int = 1, **metadata: Any) -> Manifest:
    child = next(c for c in desired(MODEL, some_settings()) if c["kind"] == "Service")
    return versioned(child, version, **metadata)


def pod(version: int = 1) -> Manifest:
    deployment = a_live_deployment(MODEL)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    return versioned(a_pod(deployment), version, namespace="lab", labels=labels, managedFields=[{"manager": "kubelet"}])


def test_every_kind_of_object_names_its_model() -> None:
    cache = Cache()
    assert cache.put("ScientificModel", versioned(a_body(), 1)) == KEY
    assert cache.put("Service", service()) == KEY
    assert cache.put("Pod", pod()) == KEY
    assert cache.children(UID) == [Id("Service", "lab", "hbb-expert")]
    assert [each["metadata"]["name"] for each in cache.pods(UID)] == ["pod-1"]


def test_older_news_change_nothing() -> None:
    cache = Cache()
    cache.put("Service", service(version=10, labels={"now": "yes"}))
    assert cache.put("Service", service(version=9)) is None
    assert cache.put("Service", service(version=10)) is None
    known = cache.child("Service", "lab", "hbb-expert")
    assert known
    assert known["metadata"]["labels"] == {"now": "yes"}


def test_an_object_that_was_made_again_replaces_the_first_whatever_its_version() -> None:
    cache = Cache()
    cache.put("Service", service(version=10))
    assert cache.put("Service", service(version=3, uid="u2")) == KEY
    known = cache.child("Service", "lab", "hbb-expert")
    assert known
    assert known["metadata"]["uid"] == "u2"


def test_a_late_deletion_does_not_take_the_successor() -> None:
    cache = Cache()
    cache.put("Service", service(version=10, uid="u2"))
    assert cache.drop("Service", service(version=5)) == KEY
    assert cache.child("Service", "lab", "hbb-expert")
    cache.drop("Service", service(version=11, uid="u2"))
    assert cache.child("Service", "lab", "hbb-expert") is None
    assert cache.children(UID) == []


def test_a_child_that_lost_its_owner_still_names_its_model() -> None:
    cache = Cache()
    assert cache.put("Service", service(ownerReferences=[])) == KEY
    assert cache.put("Service", service(version=2, ownerReferences=[], annotations={}, labels={})) is None


def test_only_what_is_looked_at_is_kept() -> None:
    cache = Cache()
    cache.put("Pod", {**pod(), "spec": {"nodeName": "n1", "containers": [{"name": "server"}]}})
    [kept] = cache.pods(UID)
    assert kept["spec"] == {"nodeName": "n1"}
    assert "managedFields" not in kept["metadata"]
