"""Signature Version 4 worked out by hand, from the specification alone, on a request as it came
over the wire.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html (read
2026-11).
"""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import quote

from tests.scripted_provider import Received


def signature_of(received: Received, secret_key: str, region: str, service: str) -> str:
    """What the signature of this request has to be, given which headers the sender says it
    signed."""
    stamp = received.headers["x-amz-date"]
    scope = f"{stamp[:8]}/{region}/{service}/aws4_request"
    names = authorization_members(received)["SignedHeaders"].split(";")
    canonical = "\n".join(
        [
            received.method,
            quote(received.path, safe="/~"),
            "",
            *(f"{name}:{' '.join(received.headers[name].split())}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(received.raw).hexdigest(),
        ]
    )
    to_sign = "\n".join(
        ["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret_key}".encode()
    for part in (*scope.split("/"), to_sign):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()


def authorization_members(received: Received) -> dict[str, str]:
    """The members of the Authorization header."""
    kind, _, members = received.headers["authorization"].partition(" ")
    assert kind == "AWS4-HMAC-SHA256"
    return dict(member.strip().split("=", 1) for member in members.split(","))  # type: ignore[misc]
