"""Who reconciles: leader election by a Lease, as client-go does it.

kubernetes.aio has an election too; it neither gives the Lease back at the end nor tells who lost it why,
and both decide how long nobody is in charge.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Protocol

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.errors import ClusterError, Conflict, Missing
from forge_operator.cluster.kinds import LEASE, Kind
from forge_operator.errors import OperatorError
from forge_operator.settings import LeaderElection

logger = logging.getLogger(__name__)

# Seconds, as in client-go: a dead leader is followed after DURATION; a leader that cannot renew gives up before.
DURATION, GIVES_UP_AFTER, RETRY = 15, 10.0, 2.0


class LeadershipLost(OperatorError):
    """Somebody else may be writing by now: end at once. A restart is cheap."""


class Requester(Protocol):
    """The part of the client that this needs."""

    async def get(self, kind: Kind, namespace: str, name: str, *, metadata_only: bool = False) -> Manifest | None: ...

    async def request(
        self, method: str, path: str, *, body: Manifest | None = None, timeout: float = 5
    ) -> Manifest: ...


class Leader:
    """One candidate. `identity` must differ between processes."""

    def __init__(self, client: Requester, settings: LeaderElection, identity: str) -> None:
        self._client = client
        self._namespace, self._name = settings.namespace, settings.lease_name
        self._identity = identity
        self._lease: Manifest | None = None
        self._seen: tuple[object, float] = (None, 0.0)  # the holder's last sign of life, and when we saw it
        self.leads = False
        self.waits_for = ""  # the identity of the present leader, while that is another one

    async def acquire(self) -> None:
        """Return once we lead."""
        while not await self._try():  # noqa: ASYNC110 - a remote state: nothing here could tell us
            await asyncio.sleep(RETRY)
        self.leads, self.waits_for = True, ""
        logger.info("leading as %s", self._identity)

    async def hold(self) -> None:
        """Renew for ever. Raises LeadershipLost."""
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(RETRY)
            if await self._try():
                renewed = time.monotonic()
                continue
            late = time.monotonic() - renewed
            if self.waits_for or late > GIVES_UP_AFTER:
                self.leads = False
                raise LeadershipLost(
                    f"the Lease {self._namespace}/{self._name} is held by {self.waits_for}"
                    if self.waits_for
                    else f"the Lease {self._namespace}/{self._name} could not be renewed for {late:.0f} s"
                )

    async def release(self) -> None:
        """Let another candidate follow at once."""
        if not self.leads or self._lease is None:
            return
        self.leads = False
        try:
            await self._write(holder="", seconds=1)
        except ClusterError as error:
            logger.warning("the Lease was not given back, so the next leader waits %d s: %s", DURATION, error)

    async def _try(self) -> bool:
        try:
            async with asyncio.timeout(GIVES_UP_AFTER / 2):
                return await self._take()
        except (Conflict, Missing):
            return False  # another candidate was faster
        except TimeoutError:
            logger.warning("the API server did not answer about the Lease within %g s", GIVES_UP_AFTER / 2)
            return False
        except ClusterError as error:
            logger.warning("Lease: %s", error)
            return False

    async def _take(self) -> bool:
        self._lease = await self._client.get(LEASE, self._namespace, self._name)
        spec = (self._lease or {}).get("spec", {})
        holder = spec.get("holderIdentity") or ""
        self.waits_for = ""
        if holder not in ("", self._identity):
            sign = (holder, spec.get("renewTime"))
            if sign != self._seen[0]:  # our own clock counts: those of two machines may differ
                self._seen = (sign, time.monotonic())
            if time.monotonic() - self._seen[1] < (spec.get("leaseDurationSeconds") or DURATION):
                self.waits_for = holder
                return False
        await self._write(holder=self._identity, seconds=DURATION)
        return True

    async def _write(self, *, holder: str, seconds: int) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old = (self._lease or {}).get("spec", {})
        changed = old.get("holderIdentity") != holder
        spec = {
            **old,
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "renewTime": now,
            "acquireTime": now if changed else old.get("acquireTime", now),
            "leaseTransitions": int(old.get("leaseTransitions") or 0) + (changed and bool(holder)),
        }
        meta = {"name": self._name, "namespace": self._namespace}
        if self._lease is None:
            path, method = LEASE.path(self._namespace), "POST"
        else:
            path, method = LEASE.path(self._namespace, self._name), "PUT"
            meta["resourceVersion"] = self._lease["metadata"]["resourceVersion"]
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        self._lease = await self._client.request(method, path, body=body, timeout=GIVES_UP_AFTER / 2)
