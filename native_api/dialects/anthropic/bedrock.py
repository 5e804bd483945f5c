"""Claude on Amazon Bedrock through InvokeModel: Anthropic's wire at Amazon's address
(https://platform.claude.com/docs/en/build-with-claude/claude-on-amazon-bedrock and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages.html,
read 2026-11).

What differs: the model and whether to stream are in the address, the version and the betas in the
body, files come inline, and each event of a stream is a `chunk` of Amazon's binary event stream,
`{"bytes": "…"}`, with Anthropic's event in base64. Converse (`dialects.bedrock`) has all models;
this one is for clients of Anthropic's API, and for what Converse lacks.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar, Final

from native_api.dialects.anthropic.betas import (
    REFUSED_BY_CLOUDS,
    TAKEN_BY_INVOKE,
    check_betas,
    drop_refused_betas,
    rename_betas,
)
from native_api.dialects.anthropic.dialect import Anthropic
from native_api.dialects.anthropic.remote_files import refuse_remote_files, refuse_remote_parts
from native_api.dialects.anthropic.reply import build_reply
from native_api.dialects.anthropic.stream import AnthropicStream
from native_api.dialects.anthropic.stream_editor import AnthropicStreamEditor
from native_api.dialects.base import Framing
from native_api.dialects.bedrock.addresses import build_model_url, name_issuer
from native_api.dialects.bedrock.errors import is_exception, read_error, read_reply_error
from native_api.dialects.bedrock.token_counting import build_count_of
from native_api.dialects.shared import gateway_owned
from native_api.dialects.shared.json_values import encode, parse_json, read_object
from native_api.dialects.shared.nesting import check_depth
from native_api.dialects.shared.provider_options import find_provider_options
from native_api.dialects.streams import StreamParser, parse_event
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import (
    ChatCompletion,
    ChatCompletionChunk,
    ChatRequest,
    Event,
    ForwardedEvent,
    Json,
    Target,
    UpstreamRequest,
)

BEDROCK_VERSION: Final = "bedrock-2023-05-31"
INLINE_ONLY: Final = "Claude on Amazon Bedrock takes files only inline"
MODEL_FIELDS: Final = "additionalModelRequestFields"
"""The member of Converse's options that holds the model's own fields."""


class AnthropicBedrock(Anthropic):
    """Anthropic's Messages API at Amazon Bedrock."""

    name = "anthropic_bedrock"
    framing: ClassVar[Framing] = "eventstream"
    remote_files = frozenset()
    count_member = "inputTokens"

    def url(self, chat: ChatRequest, target: Target) -> str:
        is_stream = chat.get("stream")
        return build_model_url(target, "invoke-with-response-stream" if is_stream else "invoke")

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        return {}

    def issuer(self, target: Target) -> str:
        return name_issuer(target)

    def read_options(self, chat: ChatRequest, target: Target) -> Json:
        """Those for a provider that is called by Converse are in its words. Only the model's own
        fields among them have a place here."""
        if target.provider.dialect == self.name:
            return super().read_options(chat, target)
        name, options = find_provider_options(chat, target)
        path = f"provider_options.{name}"
        gateway_owned.BEDROCK.check_options(options, path, target.provider.own_account)
        for member in sorted(options.keys() - {MODEL_FIELDS}):
            raise UnsupportedField(f"{path}.{member}", "only Converse has it, not InvokeModel")
        fields = dict(read_object(options.get(MODEL_FIELDS)))
        betas = fields.pop("anthropic_beta", None)
        check_betas(betas, f"{path}.{MODEL_FIELDS}.anthropic_beta")
        return {**fields, "betas": betas} if betas else fields

    def pop_headers(self, body: Json) -> dict[str, str]:
        betas = list(dict.fromkeys(body.pop("betas")))
        if betas:
            body["anthropic_beta"] = betas
        return {}

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        refuse_remote_parts(chat["messages"], INLINE_ONLY)
        super().build_body(chat, target, body, omitted)
        _move_to_address(body)

    def edit_client_body(self, body: Json, target: Target, omitted: list[str]) -> Json:
        refuse_remote_files(body["messages"], INLINE_ONLY)
        edited = super().edit_client_body(body, target, omitted)
        _move_to_address(edited)
        rename_betas(edited)
        omitted += drop_refused_betas(edited, REFUSED_BY_CLOUDS)
        taken = [beta for beta in edited["betas"] if beta.startswith(TAKEN_BY_INVOKE)]
        if len(taken) < len(edited["betas"]):
            edited["betas"] = taken
            omitted.append("betas")
        return edited

    def drop_refused(self, body: Json, target: Target) -> list[str]:
        dropped = drop_refused_betas(body, REFUSED_BY_CLOUDS)
        tier = body.pop("service_tier", "auto")  # a header there
        return dropped if tier == "auto" else [*dropped, "service_tier"]

    def response(self, body: Json, target: Target) -> ChatCompletion:
        if isinstance(body, dict) and "content" not in body:
            raise read_reply_error("", body)
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return BedrockAnthropicStream()

    def editor(self, target: Target, body: Json) -> AnthropicStreamEditor | None:
        return BedrockAnthropicEditor(AnthropicStream(), self.issuer(target))

    def count_tokens_request(
        self, request: UpstreamRequest, target: Target
    ) -> UpstreamRequest | None:
        models, _, _ = request.url.rpartition("/")
        body = encode({"max_tokens": 1, **request.body})
        counted = {"invokeModel": {"body": base64.b64encode(body).decode()}}
        return build_count_of(f"{models}/count-tokens", counted, request)

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


def _move_to_address(body: Json) -> None:
    """Remove what the address says, and add the version."""
    del body["model"]
    body.pop("stream", None)
    body["anthropic_version"] = BEDROCK_VERSION


# --- streams -------------------------------------------------------------------------------------


class BedrockAnthropicStream(AnthropicStream):
    def feed(self, event: Event) -> Iterable[ChatCompletionChunk]:
        inner = unwrap_event(event)
        return () if inner is None else super().feed(inner)


class BedrockAnthropicEditor(AnthropicStreamEditor):
    guarded = ("feed",)

    def feed(self, event: Event) -> Sequence[ForwardedEvent]:
        inner = unwrap_event(event)
        return () if inner is None else super().feed(inner)


def unwrap_event(event: Event) -> Event | None:
    """Anthropic's event in Amazon's; None if there is none. Raises UpstreamError for an
    exception."""
    if is_exception(event.type):
        raise read_reply_error(event.type, parse_json(event.data))
    encoded = read_object(parse_event(event)).get("bytes")
    if not isinstance(encoded, str):
        return None
    data = base64.b64decode(encoded).decode("utf-8", "replace")
    check_depth(data)
    return Event("", data)
