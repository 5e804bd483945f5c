"""Puts a provider's key on a request, in the way that `Provider.auth` names."""

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
