"""Redacts provider error messages: credentials, provider URLs and private addresses never reach a
client.

Rules:
1. Secrets are the provider's key and its parts, the values of its headers, and the access tokens
   that were sent last (`secrets`). They are hidden wherever they appear, also percent-encoded,
   escaped for JSON or HTML, in hexadecimal, or in Base64.
2. URLs of the provider and of private networks are hidden too, and credentials in other URLs and
   after `Bearer`. Other URLs stay: they are the client's own, or lead to documentation.
3. Text is cut only after its secrets are hidden, so that no cut leaves a part of one.
4. Nothing of a 401 is passed on: it is about the gateway's key, and providers repeat the ends of
   it.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from native_api.exceptions import MAX_PROVIDER_MESSAGE, ProviderFault
from native_api.types import Provider
from native_api.upstream.secrets import HIDDEN, hide_secrets, secrets_for

URL_OR_ADDRESS: Final = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+.-]*://(?:\[[0-9a-fA-F:.]+\])?[^\s\"'<>()\[\]{}`,;]*"  # with a scheme
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"  # bare IPv4
)

PRIVATE_SUFFIXES: Final = (".local", ".internal", ".lan", ".svc", ".localhost")

MAX_READ_CHARACTERS: Final = 4 * MAX_PROVIDER_MESSAGE
"""How much of a message is searched; the rest is dropped."""

SECRET_PARAMETER: Final = re.compile(
    r"(?:x-(?:amz|goog)-(?:signature|credential|security-token))"
    r"|(?:.*[-_])?(?:key|apikey|token|secret|password|passwd|pwd|signature|sig|auth"
    r"|authorization|credentials?|code)|apikey|accesskey|authkey",
    re.IGNORECASE,
)
"""The names of query parameters that are credentials, such as `key`, `api_key`, `access_token`,
`X-Amz-Signature`."""

PARAMETER: Final = re.compile(r"(?<=[?&#])([A-Za-z0-9_.-]+)=([^&#\s]+)")
USERINFO: Final = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")
CREDENTIALS_IN_TEXT: Final = re.compile(
    r"(\bbearer\s+|\b(?:signature|credential)=|\bx-amz-security-token[:=]\s*)"
    r"(?=[^\s,;&()\"']*\d)[^\s,;&()\"']{8,}",
    re.IGNORECASE,
)


def attribute_fault(fault: ProviderFault, provider: Provider) -> None:
    """Name the provider as the fault's cause, and redact its message for clients."""
    fault.provider = provider.name
    if fault.upstream_status == 401:
        fault.message = (
            "The provider answered 401: it does not accept the gateway's key. "
            "The site's operators have to replace it."
        )
        fault.param = None
    else:
        fault.message = redact(fault.message, provider)
        fault.param = fault.param and redact(fault.param, provider)
    fault.args = (fault.message,)


def redact(text: str, provider: Provider) -> str:
    """The text without the provider's secrets, internal URLs and other credentials."""
    text = hide_secrets(text, tuple(secrets_for(provider)), MAX_READ_CHARACTERS)
    provider_host = urlsplit(provider.base_url).hostname or ""
    text = URL_OR_ADDRESS.sub(
        lambda match: HIDDEN if _is_private(match[0], provider_host) else redact_url(match[0]),
        text,
    )
    return CREDENTIALS_IN_TEXT.sub(rf"\1{HIDDEN}", text)[:MAX_PROVIDER_MESSAGE]


def _is_private(address: str, provider_host: str) -> bool:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
        return not ip_address(host).is_global
    except ValueError:
        return host == provider_host or "." not in host or host.endswith(PRIVATE_SUFFIXES)


# --- URLs ----------------------------------------------------------------------------------------


def redact_url(url: str) -> str:
    """A URL without its secrets: user name, password, and tokens among its parameters."""
    if "://" in url:
        url = USERINFO.sub(f"{HIDDEN}@", url)
    elif "@" in url:
        url = f"{HIDDEN}@{url.rpartition('@')[2]}"
    return PARAMETER.sub(
        lambda match: f"{match[1]}={HIDDEN}" if SECRET_PARAMETER.fullmatch(match[1]) else match[0],
        url,
    )


def describe_secret_in(url: str) -> str:
    """Which part of a URL is secret, without showing it; "" if none is."""
    if USERINFO.search(url):
        return "a user name or password"
    parameter = next(
        (name for name, _ in PARAMETER.findall(url) if SECRET_PARAMETER.fullmatch(name)), ""
    )
    return f"the parameter {parameter!r}" if parameter else ""
