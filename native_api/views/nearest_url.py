"""What to say of a URL without an endpoint: the endpoint that was probably meant."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from native_api.views.spoken_formats import ANTHROPIC_ENDPOINT

ENDPOINTS: Final = (
    "chat/completions",
    "responses",
    "responses/input_tokens",
    "responses/compact",
    "messages",
    "messages/count_tokens",
    "embeddings",
    "models",
    "usage",
    "health/live",
    "health/ready",
)
"""What clients append to a base URL."""

READ: Final = frozenset({"models", "usage", "health/live", "health/ready"})
"""Those that are for GET. The others are for POST."""

LIKENESS: Final = 0.75
"""How alike a path and an endpoint are, from 0 to 1, before the endpoint is named. Below that,
`images` is as near to `usage` as some misspellings are to what they mean."""

VERSIONS: Final = frozenset({"v1", "v1beta", "api", "openai", ""})
"""Segments that base URLs of clients have once too often, or not at all."""

MAX_SHOWN: Final = 200
MAX_COMPARED: Final = 64


def describe_missing(request: HttpRequest) -> str:
    """The message for a request at whose path nothing is."""
    path, shown = request.path, f"There is nothing at {request.path[:MAX_SHOWN]}."
    base = _find_base(request)
    tail = _strip_versions(path.removeprefix(base.removesuffix("v1/")))
    near = _find_nearest(tail)
    if not near:
        return f"{shown} The API is below {base}: POST {base}chat/completions, GET {base}models."
    url = f"{base}{near}" if not near.startswith("health/") else f"{base.removesuffix('v1/')}{near}"
    message = f"{shown} Did you mean {'GET' if near in READ else 'POST'} {url}?"
    if near == tail and path.rstrip("/") != url:
        message = f"{message} The base URL of a client ends in {_find_client_base(base, near)}."
    return message


def _find_client_base(base: str, endpoint: str) -> str:
    """What a client needs as its base URL: those of Anthropic append `v1` themselves."""
    is_anthropic = endpoint.partition("/")[0] == ANTHROPIC_ENDPOINT
    return (base.removesuffix("v1/") if is_anthropic else base).rstrip("/")


def _find_base(request: HttpRequest) -> str:
    """The path that all of the API is below, `/native/v1/`. Without what leads there if a site's
    own pattern needs arguments for it."""
    match = request.resolver_match
    namespace = match.namespace if match else None
    try:
        url = reverse("native_api:chat-completions", current_app=namespace)
    except NoReverseMatch:
        return "v1/"
    return url.removesuffix("chat/completions")


def _strip_versions(path: str) -> str:
    """The path without slashes at its end, doubled ones, and versions."""
    return "/".join(part for part in path.split("/") if part not in VERSIONS)


def _find_nearest(tail: str) -> str:
    """The endpoint that the path ends with, else one that is spelt much like it, else ""."""
    ending = [name for name in ENDPOINTS if f"/{tail}".endswith(f"/{name}")]
    near = ending or get_close_matches(tail[:MAX_COMPARED], ENDPOINTS, 1, LIKENESS)
    return next(iter(near), "")
