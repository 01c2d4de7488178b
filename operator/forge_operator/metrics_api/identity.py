"""Who we are to the API server and whom we believe: looked at again and again, changed without a restart."""

import asyncio
import logging
import ssl

from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import ClusterError
from forge_operator.cluster.kinds import CONFIG_MAP
from forge_operator.metrics_api import trust
from forge_operator.metrics_api.certificates import Pair, ends
from forge_operator.metrics_api.keeper import Keeper, NotOurs
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.tls import Front
from forge_operator.metrics_api.trust import NoTrust, Trust

logger = logging.getLogger(__name__)

_LOOK = 20.0  # seconds
_FIRST_LOOKS = 2.0  # seconds, while nothing is served yet


class Identity:
    """What was right stays right while the API server does not answer."""

    def __init__(self, client: Client, keeper: Keeper, front: Front, metrics: Metrics) -> None:
        self._client, self._keeper, self._front, self._metrics = client, keeper, front, metrics
        self._pair: Pair | None = None
        self._trust: Trust | None = None
        self._troubles: dict[str, str] = {}  # what was looked at -> what is wrong with it

    @property
    def trouble(self) -> str | None:
        """What stands in the way of serving at all."""
        if self._pair and self._trust:
            return None
        return "; ".join(self._troubles.values()) or "no certificate yet"

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK if self._pair and self._trust else _FIRST_LOOKS)

    async def look(self) -> None:
        """Once."""
        before = (self._pair, self._trust)
        try:
            self._trust = await self._present_trust()
            self._well("trust")
        except (NoTrust, ClusterError) as error:
            self._wrong("trust", f"nobody is believed: {error}")
        try:
            self._pair = await self._keeper.look(serves=self._pair is not None) or self._pair
            self._well("certificate")
        except (NotOurs, ClusterError) as error:
            self._wrong("certificate", f"the certificate cannot be kept: {error}")
        if self._pair and (self._pair, self._trust) != before and not self._serve(self._pair):
            self._pair, self._trust = before  # and try again

    def _serve(self, pair: Pair) -> bool:
        try:
            self._front.change(pair, self._trust)
            self._well("use of certificates")
        except (ssl.SSLError, ValueError) as error:
            self._wrong("use of certificates", f"certificates cannot be used: {error}")
            return False
        until = ends(pair.certificate)
        self._metrics.certificate_ends.set(until.timestamp())
        logger.info("serving with a certificate until %s", until.date())
        return True

    async def _present_trust(self) -> Trust:
        found = await self._client.get(CONFIG_MAP, trust.NAMESPACE, trust.NAME)
        if found is None:
            raise NoTrust(f"the ConfigMap {trust.NAMESPACE}/{trust.NAME} is missing; the API server makes it")
        return Trust.read(found.get("data") or {})

    def _wrong(self, about: str, what: str) -> None:
        if self._troubles.get(about) != what:
            logger.error("%s", what)
        self._troubles[about] = what

    def _well(self, about: str) -> None:
        if self._troubles.pop(about, None):
            logger.info("the %s is well again", about)
