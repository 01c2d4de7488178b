"""The activator's pods that are ready: where requests for models at zero are sent."""

import logging
from collections.abc import Callable

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.activation import SERVICE_LABEL, Family, ready_addresses
from forge_operator.cluster.client import Client
from forge_operator.cluster.kinds import ENDPOINT_SLICE
from forge_operator.cluster.watch import Listed, Watch
from forge_operator.settings import Settings

logger = logging.getLogger(__name__)


class Activators:
    """Kubernetes keeps the list, for the activator's Service."""

    def __init__(self, settings: Settings) -> None:
        self._namespace = settings.operator_namespace
        self._selector = f"{SERVICE_LABEL}={settings.autoscaling.activator.service}"
        self._slices: dict[str, Manifest] = {}
        self.exist = settings.autoscaling.activator.enabled and settings.autoscaling.backend != "none"
        self.addresses: tuple[str, ...] = ()
        self.family: Family = "IPv4"

    async def prime(self, client: Client) -> None:
        """Know them before the first model is looked at: else a restart would take them away from all."""
        if self.exist:
            found = [each async for each in client.list(ENDPOINT_SLICE, self._namespace, self._selector)]
            self.take(found)

    async def follow(self, client: Client, changed: Callable[[], None]) -> None:
        """For ever; `changed` is called when they are others than before."""
        async for seen in Watch(client, ENDPOINT_SLICE, self._namespace, self._selector).follow():
            if isinstance(seen, Listed):
                self._slices = {}
                different = self.take(seen.things)
            elif seen.gone:
                self._slices.pop(seen.thing["metadata"]["name"], None)
                different = self.take([])
            else:
                different = self.take([seen.thing])
            if different:
                logger.info("the activator is at %s", ", ".join(self.addresses) or "no address")
                changed()

    def take(self, slices: list[Manifest]) -> bool:
        """Add or replace these; whether the addresses are others than before."""
        self._slices |= {each["metadata"]["name"]: each for each in slices}
        # With two families a model's Service has, as most do, the first.
        families: tuple[Family, Family] = ("IPv4", "IPv6")
        ready = {family: self._ready(family) for family in families}
        family: Family = "IPv6" if ready["IPv6"] and not ready["IPv4"] else "IPv4"
        before = self.addresses, self.family
        self.addresses, self.family = ready[family], family
        return before != (self.addresses, self.family)

    def _ready(self, family: Family) -> tuple[str, ...]:
        return tuple(
            sorted(
                address
                for each in self._slices.values()
                if each["addressType"] == family
                for address in ready_addresses(each)
            )
        )
