"""Claude on Vertex AI: Anthropic's wire at Google's address
(https://platform.claude.com/docs/en/build-with-claude/claude-on-vertex-ai, read 2026-11).

Three things differ: the model is in the address, the version is in the body, and files come inline.
Vertex AI answers "URL sources are not supported" to a file's URL
(https://github.com/anthropics/anthropic-sdk-typescript/issues/1038, 2026-05).
"""

from __future__ import annotations

from typing import Final

from native_api.dialects.anthropic.betas import (
    REFUSED_BY_VERTEX,
    drop_refused_betas,
    rename_betas,
)
from native_api.dialects.anthropic.dialect import Anthropic
from native_api.dialects.anthropic.remote_files import refuse_remote_files, refuse_remote_parts
from native_api.dialects.anthropic.token_counting import build_vertex_count_request
from native_api.dialects.shared import vertex_urls
from native_api.dialects.shared.urls import check_path_segment
from native_api.types import ChatRequest, Json, Target, UpstreamRequest

VERTEX_VERSION: Final = "vertex-2023-10-16"
INLINE_ONLY: Final = "Claude on Vertex AI takes files only inline"


class AnthropicVertex(Anthropic):
    """Anthropic's Messages API at Google's Vertex AI."""

    name = "anthropic_vertex"
    remote_files = frozenset()

    def url(self, chat: ChatRequest, target: Target) -> str:
        publisher_url = vertex_urls.build_publisher_url(target, "anthropic")
        method = "streamRawPredict" if chat.get("stream") else "rawPredict"
        return f"{publisher_url}/models/{check_path_segment(target.model)}:{method}"

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        return {}

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        refuse_remote_parts(chat["messages"], INLINE_ONLY)
        super().build_body(chat, target, body, omitted)
        del body["model"]
        body["anthropic_version"] = VERTEX_VERSION

    def edit_client_body(self, body: Json, target: Target, omitted: list[str]) -> Json:
        refuse_remote_files(body["messages"], INLINE_ONLY)
        edited = super().edit_client_body(body, target, omitted)
        del edited["model"]
        edited["anthropic_version"] = VERTEX_VERSION
        rename_betas(edited)
        return edited

    def count_tokens_request(
        self, request: UpstreamRequest, target: Target
    ) -> UpstreamRequest | None:
        return build_vertex_count_request(request, target)

    def drop_refused(self, body: Json, target: Target) -> list[str]:
        return drop_refused_betas(body, REFUSED_BY_VERTEX)
