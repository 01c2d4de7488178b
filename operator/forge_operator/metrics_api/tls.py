"""TLS whose certificate and trusted authorities change while it listens."""

import os
import ssl

from forge_operator.metrics_api.certificates import Pair
from forge_operator.metrics_api.trust import Trust


class Front:
    """`context` listens for good; each handshake goes on with the one that is right at that moment."""

    def __init__(self) -> None:
        self.context = _bare()
        self.context.sni_callback = self._switch  # called for every handshake, with a name or without
        self._present: ssl.SSLContext | None = None
        self.trust: Trust | None = None

    def change(self, pair: Pair, trust: Trust | None) -> None:
        """From now on. Without trust nobody can prove anything. Raises ssl.SSLError when the files are none."""
        present = _bare()
        _load(present, pair)
        if trust:
            present.load_verify_locations(cadata=trust.authorities)
        self._present, self.trust = present, trust

    def current(self, connection: ssl.SSLObject) -> bool:
        """Whether a connection was made under what is right now."""
        return connection.context is self._present

    def _switch(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> int | None:
        if self._present is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._present
        return None


def _bare() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Every API server speaks 1.3; below it a session may be resumed without a look at the certificate.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    # A certificate is asked for, not insisted on: who has none gets a 401 that says so.
    context.verify_mode = ssl.CERT_OPTIONAL
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # as in Go, each authority named is trusted by itself
    return context


def _load(context: ssl.SSLContext, pair: Pair) -> None:
    """Without a disk: the key is nowhere but in the Secret and in memory, and the root file system is read-only."""
    file = os.memfd_create("tls")
    try:
        os.write(file, (pair.key + pair.certificate).encode())
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
