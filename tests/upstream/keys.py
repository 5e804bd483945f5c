"""Keys and certificates for tests, made when they run."""

from __future__ import annotations

import datetime
import json
import ssl
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID


@lru_cache
def private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def private_pem() -> str:
    kind = serialization.PrivateFormat.PKCS8
    return (
        private_key()
        .private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
        .decode()
    )


def public_pem() -> bytes:
    return (
        private_key()
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def service_account(token_uri: str, **members: Any) -> str:
    """A service account's key, as Google's console gives it."""
    account = {
        "type": "service_account",
        "project_id": "a-project",
        "private_key_id": "abc",
        "private_key": private_pem(),
        "client_email": "gateway@a-project.iam.gserviceaccount.com",
        "token_uri": token_uri,
    }
    return json.dumps({**account, **members})


def loopback_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for 127.0.0.1, and the file by which clients know it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, private_key().public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private_key(), hashes.SHA256())
    )
    certificate_path, key = folder / "certificate.pem", folder / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key.write_text(private_pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path, key)
    return context, certificate_path
