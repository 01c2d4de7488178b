"""Which port of the activator is which model's: one for each, for as long as it exists."""

from forge_operator.children.activation import PORTS
from forge_operator.cluster.kinds import ENDPOINT_SLICE
from tests.operator.control.bench import KEY, Bench
from tests.operator.control.test_zero import MAY_SLEEP, awake, slice_of
from tests.support.models import a_body
from tests.support.slices import our_slice


async def test_the_port_stays_and_is_no_other_models() -> None:
    bench = await awake()
    port = slice_of(bench)["ports"][0]["port"]
    assert port in PORTS
    bench.restart()
    await bench.reconcile()
    assert slice_of(bench)["ports"][0]["port"] == port


async def test_a_port_that_is_taken_is_not_given_again() -> None:
    fresh = Bench(autoscaling=MAY_SLEEP)
    await fresh.reconcile()
    port = slice_of(fresh)["ports"][0]["port"]
    bench = Bench(autoscaling=MAY_SLEEP)
    other = our_slice(port, name="other", namespace="elsewhere", uid="another")
    bench.cluster.put("EndpointSlice", other)
    await bench.reconcile()
    assert slice_of(bench)["ports"][0]["port"] == port + 1 or port == PORTS.stop - 1


async def test_of_two_models_with_one_port_the_younger_gets_another() -> None:
    bench = await awake()
    port = slice_of(bench)["ports"][0]["port"]
    mine = bench.place("EndpointSlice")
    bench.cluster.edit(mine, lambda s: s["metadata"].update(creationTimestamp="2026-11-24T12:00:00Z"))
    older = our_slice(port, made="2026-11-24T11:00:00Z", name="other", namespace="elsewhere", uid="another")
    bench.cluster.put("EndpointSlice", older)
    await bench.reconcile()
    assert slice_of(bench)["ports"][0]["port"] != port


async def test_two_new_models_at_once_get_two_ports() -> None:
    one = Bench(autoscaling=MAY_SLEEP)
    one.cluster.put("ScientificModel", a_body(name="other", uid="another", autoscaling=MAY_SLEEP))
    await one.reconcile()
    await one.reconciler.reconcile(KEY._replace(name="other"))
    ports = [each["ports"][0]["port"] for each in one.cluster.of(ENDPOINT_SLICE)]
    assert len(set(ports)) == 2
