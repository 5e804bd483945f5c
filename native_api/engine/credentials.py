"""Puts a provider's key on a request, in the way that `Provider.auth` names, and keeps it out of what is told."""

from __future__ import annotations

from native_api.engine import aws
from native_api.types import Provider, UpstreamRequest


async def authorize(request: UpstreamRequest, method: str, content: bytes, provider: Provider) -> dict[str, str]:
    """All headers to send: the request's, the provider's, and the credentials."""
    headers = {**request.headers, **provider.headers}
    if provider.auth == "bearer":
        headers["authorization"] = f"Bearer {provider.api_key}"
    elif provider.auth in ("x-api-key", "api-key", "x-goog-api-key"):
        headers[provider.auth] = str(provider.api_key)
    elif provider.auth == "aws":
        headers |= await aws.authorization(request, method, content, provider)
    return headers


def without_secrets(text: str, provider: Provider) -> str:
    """The text without the provider's key: some servers quote what they refuse, AWS the session token among the headers it checked."""
    key = str(provider.api_key)
    for secret in key.split(":") if provider.auth == "aws" else [key]:
        text = text.replace(secret, "…") if secret else text
    return text
