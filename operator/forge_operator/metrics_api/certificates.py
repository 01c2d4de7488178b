"""A certificate for our own Service, and an authority that proves it and signs nothing else: its key is thrown away."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE: Final = timedelta(days=90)
RENEWED_BEFORE: Final = timedelta(days=30)  # its end: a month in which somebody may notice that it fails
_CLOCKS_DIFFER: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM: the certificate, its key, and the authority that the API server must trust."""

    certificate: str
    key: str
    authority: str


def issued(hosts: list[str], now: datetime) -> Pair:
    """A new pair, of a new authority; the first host is the one by which the API server asks."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    # The time tells authorities apart: while one replaces the other, both are trusted under their names.
    root = _name(f"{hosts[0]} {now:%Y-%m-%dT%H:%M:%S}"[:64])
    authority = (
        _begun(root, root, root_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _begun(_name(hosts[0][:64]), root, key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return Pair(_pem(certificate), _key(key), _pem(authority))


def ends(certificate: str) -> datetime:
    """When a certificate ends. Raises ValueError when it is none."""
    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc


def usable(pair: Pair, host: str, now: datetime) -> bool:
    """Whether this can be served for a while yet: key and authority belong to it, and it is for this host."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
        key = serialization.load_pem_private_key(pair.key.encode(), password=None)
        certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pair.authority.encode()))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature):
        return False
    return (
        key.public_key() == certificate.public_key()
        and host in names.get_values_for_type(x509.DNSName)
        and now < certificate.not_valid_after_utc - RENEWED_BEFORE
    )


def living(bundle: str, now: datetime) -> list[str]:
    """The authorities of a bundle that have not ended, as PEM, newest first."""
    try:
        found = x509.load_pem_x509_certificates(bundle.encode())
    except ValueError:
        return []
    alive = [each for each in found if each.not_valid_after_utc > now]
    return [_pem(each) for each in sorted(alive, key=lambda each: each.not_valid_before_utc, reverse=True)]


def _begun(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + LIFE)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
