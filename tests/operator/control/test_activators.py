"""Where the activator's pods are, as Kubernetes lists them for its Service."""

from typing import Any

from forge_operator.control.activators import Activators
from tests.support.models import some_settings
from tests.support.slices import pod_slice


def activators(**autoscaling: Any) -> Activators:
    return Activators(some_settings(autoscaling=autoscaling))


def test_only_pods_that_are_ready_count_whatever_slice_lists_them() -> None:
    found = activators()
    assert found.take([pod_slice(("10.0.0.2", 9090), name="a", waits=1), pod_slice(("10.0.0.1", 9090), name="b")])
    assert found.addresses == ("10.0.0.1", "10.0.0.2")
    assert found.take([pod_slice(name="b", waits=1)])
    assert found.addresses == ("10.0.0.2",)


def test_the_same_again_is_no_change() -> None:
    found = activators()
    found.take([pod_slice(("10.0.0.1", 9090))])
    assert not found.take([pod_slice(("10.0.0.1", 9090), waits=2)])


def test_of_two_families_one_is_chosen() -> None:
    six = {**pod_slice(("fd00::1", 9090), name="six"), "addressType": "IPv6"}
    found = activators()
    found.take([six])
    assert (found.family, found.addresses) == ("IPv6", ("fd00::1",))
    found.take([pod_slice(("10.0.0.1", 9090), name="four")])
    assert (found.family, found.addresses) == ("IPv4", ("10.0.0.1",))


def test_there_is_none_where_nothing_goes_to_zero() -> None:
    assert activators().exist
    assert not activators(backend="none").exist
    assert not activators(activator={"enabled": False}).exist
