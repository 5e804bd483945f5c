"""Access tokens of Microsoft Entra, through Microsoft's own library, which is imported when first
used.

API_KEY holds a client secret, so that it is encrypted at rest and never shown. Without it the
library finds the machine's own identity, which is sent to Azure's hosts only (`methods`), with a
scope that follows from the host.
"""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import urlsplit

from native_api.types import Provider, Secret
from native_api.upstream.auth.access_tokens import Token, TokenUnavailable, describe_error

DEFAULT_SCOPE: Final = "https://cognitiveservices.azure.com/.default"

CLOUD_SCOPES: Final = {
    "azure.com": DEFAULT_SCOPE,
    "azure.us": "https://cognitiveservices.azure.us/.default",
    "azure.cn": "https://cognitiveservices.azure.cn/.default",
}
"""The domain of each of Azure's clouds -> the scope of its tokens."""

HOSTS: Final = re.compile(
    r"[a-z0-9-]+\.(?:privatelink\.)?(?:openai|cognitiveservices|services\.ai)"
    r"\.(?:azure\.com|azure\.us|azure\.cn)"
)
"""Hosts of Azure's AI services. Only Microsoft answers there: services that customers run have
other names (`azure-api.net`, `inference.ml.azure.com`).
https://learn.microsoft.com/azure/private-link/private-endpoint-dns (read 2026-11)."""


def scope_for(provider: Provider) -> str:
    """OPTIONS["scope"], else the scope of the cloud that the provider's host belongs to."""
    host = urlsplit(provider.base_url).hostname or ""
    cloud_scope = next(
        (scope for domain, scope in CLOUD_SCOPES.items() if host.endswith(f".{domain}")),
        DEFAULT_SCOPE,
    )
    return str(provider.options.get("scope") or cloud_scope)


def fetch_token(provider: Provider) -> Token:
    """A token for a client with a secret or, without one, for the machine's identity.

    Blocks. Raises TokenUnavailable.
    https://learn.microsoft.com/en-us/python/api/overview/azure/identity-readme (read 2026-11).
    """
    from azure.core.exceptions import AzureError

    try:
        with _credential(provider) as credential:
            token = credential.get_token(scope_for(provider))
    except (AzureError, ValueError) as error:
        raise TokenUnavailable(describe_error(error, provider.api_key)) from None
    return Token(Secret(token.token), token.expires_on)


def _credential(provider: Provider) -> Any:
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    options = provider.options
    # Discovery would look a site's own authority up at Microsoft's first.
    authority = (
        {"authority": options["authority"], "disable_instance_discovery": True}
        if options.get("authority")
        else {}
    )
    if provider.api_key:
        return ClientSecretCredential(
            options["tenant_id"], options["client_id"], str(provider.api_key), **authority
        )
    return DefaultAzureCredential(managed_identity_client_id=options.get("client_id"), **authority)
