"""An API server's authority for speaking for users, and certificates of those who hold one."""

import json
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class FrontProxy:
    """`pem` is what the ConfigMap holds."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def config(self, *names: str) -> dict[str, str]:
        """The data of extension-apiserver-authentication, as a kubeadm cluster has it."""
        return {
            "requestheader-client-ca-file": self.pem,
            "requestheader-allowed-names": json.dumps(names),
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-uid-headers": '["X-Remote-Uid"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }

    def client(self, folder: Path, server_authority: str, name: str) -> ssl.SSLContext:
        """How somebody of this name connects, who trusts the server's authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        certificate = _signed(name, key, self.key, self.certificate.subject, usage, critical=False)
        chain = folder / f"{name}.pem"
        chain.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.create_default_context(cadata=server_authority)
        context.load_cert_chain(chain)
        return context


def a_front_proxy() -> FrontProxy:
    """Made anew, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "front-proxy-ca")])
    limits = x509.BasicConstraints(ca=True, path_length=None)
    return FrontProxy(key, _signed("front-proxy-ca", key, key, subject, limits, critical=True))


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    by: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    extension: x509.ExtensionType,
    *,
    critical: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(extension, critical=critical)
        .sign(by, hashes.SHA256())
    )
