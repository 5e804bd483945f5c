"""Counting input tokens:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_CountTokens.html (read 2026-11).
Only some models can be counted for; for others Bedrock answers 400."""

from __future__ import annotations

import re
from typing import Final

from native_api.dialects.shared.json_values import encode
from native_api.types import Json, UpstreamRequest

CONVERSE_MEMBERS: Final = ("messages", "system", "toolConfig", "additionalModelRequestFields")

INFERENCE_PROFILE: Final = re.compile(r"/model/(?:us|eu|apac|jp|au|ca|sa|global|us-gov)\.")
"""A model is counted for by its own name, not by that of a profile for several regions."""


def build_count_request(request: UpstreamRequest) -> UpstreamRequest:
    models, _, _ = request.url.rpartition("/")
    members = {name: request.body[name] for name in CONVERSE_MEMBERS if name in request.body}
    return build_count_of(f"{models}/count-tokens", {"converse": members}, request)


def build_count_of(url: str, counted: Json, request: UpstreamRequest) -> UpstreamRequest:
    """`counted` is the input in one of the two forms that Bedrock takes."""
    body = {"input": counted}
    url = INFERENCE_PROFILE.sub("/model/", url)
    return UpstreamRequest(url, body, dict(request.headers), content=encode(body))
