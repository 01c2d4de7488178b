"""What the administrator allows: schemes, hosts, mirrors; and which addresses a name may stand for."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from forge_inference.sources.errors import SourceError

# Services of clouds that hand out credentials or change machines, at addresses that no other test below refuses.
_METADATA = {
    ipaddress.ip_address("fd00:ec2::254"),  # AWS, IPv6
    ipaddress.ip_address("100.100.100.200"),  # Alibaba Cloud
    ipaddress.ip_address("168.63.129.16"),  # Azure
    ipaddress.ip_address("192.0.0.192"),  # Oracle Cloud
}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Policy:
    """`hosts` are names, `*.example.org` or `*`; `mirrors` maps a host to the URL that stands in for it."""

    schemes: tuple[str, ...] = ("hf", "s3", "https", "oci")
    hosts: tuple[str, ...] = ("*",)
    mirrors: Mapping[str, str] = field(default_factory=dict)

    def demand_scheme(self, scheme: str) -> None:
        """Raises SourceError (SourceDenied)."""
        if scheme not in self.schemes:
            allowed = ", ".join(f"{name}://" for name in self.schemes) or "none"
            raise SourceError(
                "SourceDenied", f"The administrator does not allow {scheme}:// sources. Allowed here: {allowed}."
            )

    def demand_host(self, host: str, *, why: str = "") -> None:
        """Raises SourceError (SourceDenied) unless a pattern or a mirror names this host."""
        host = _plain(host)
        if self.trusts(host) or any(_fits(host, pattern) for pattern in self.hosts):
            return
        raise SourceError(
            "SourceDenied",
            f"The administrator does not allow downloads from {host}{why}. Allowed here: {', '.join(self.hosts)}."
            f" Use an allowed host, or ask the administrator to add {host}.",
        )

    def demand_address(self, host: str, address: str) -> None:
        """Raises SourceError (SourceDenied) if a host that is not named in full leads to this machine or its cloud."""
        if not self.trusts(host) and (kind := _kind(address)):
            raise SourceError(
                "SourceDenied",
                f"{_plain(host)} has the {kind} address {address}, which is never downloaded from. Correct the host;"
                " if it is meant, the administrator names it in full among the allowed hosts.",
            )

    def trusts(self, host: str) -> bool:
        """Whether the administrator named this very host, so that its addresses are not judged."""
        host = _plain(host)
        return host in map(_plain, self.hosts) or any(host == _host(base) for base in self.mirrors.values())

    def mirror(self, host: str) -> str | None:
        """The URL that stands in for a host, without a slash at its end."""
        found = self.mirrors.get(_plain(host))
        return found.rstrip("/") if found else None

    def mirrored(self, url: str) -> str:
        """The URL to ask instead of this one: its mirror's, or itself."""
        parts = urlsplit(url)
        base = self.mirror(parts.hostname or "")
        if base is None:
            return url
        return base + urlunsplit(("", "", parts.path or "/", parts.query, ""))


def _plain(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


def _host(url: str) -> str:
    return _plain(urlsplit(url).hostname or "")


def _fits(host: str, pattern: str) -> bool:
    return pattern == "*" or (pattern.startswith("*.") and host.endswith(pattern[1:].lower()))


def _kind(address: str) -> str | None:
    """Why an address is none to download from; private networks are fine, since labs keep their stores there."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or (ipaddress.ip_address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else ip)
    if ip in _METADATA:
        return "metadata service's"
    checks = {
        "loopback": ip.is_loopback,
        "link-local": ip.is_link_local,
        "unspecified": ip.is_unspecified or ip in ipaddress.ip_network("0.0.0.0/8"),
        "multicast": ip.is_multicast,
        "reserved": ip.is_reserved,
    }
    return next((name for name, true in checks.items() if true), None)
