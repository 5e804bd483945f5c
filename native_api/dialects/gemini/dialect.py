"""Gemini's generateContent, at the Gemini API and at Vertex AI:
https://ai.google.dev/api/generate-content and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference (read 2026-11).

Here: URLs and the body's frame. Elsewhere in the package: `messages` (contents, with `parts` and
`replay`), `tools` (with `schema`), `models` (what differs by model), `reply` and `stream` (with
`choice`, `tool_calls`, `media`, `annotations`, `finish_reasons`, `logprobs` and `usage`) and
`errors`.

What has no unified field comes through `provider_options`: `safetySettings`,
`toolConfig.retrievalConfig`, `generationConfig.thinkingConfig.thinkingBudget`, and built-in tools
such as `{"tools": [{"urlContext": {}}]}`, which are added to the request's own functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from native_api.dialects.base import Dialect
from native_api.dialects.gemini.errors import read_error
from native_api.dialects.gemini.messages import MessageTranslator
from native_api.dialects.gemini.models import build_thinking_config, read_generation
from native_api.dialects.gemini.parts import PartTranslator
from native_api.dialects.gemini.reply import build_reply
from native_api.dialects.gemini.stream import GeminiStream
from native_api.dialects.gemini.token_counting import build_count_request
from native_api.dialects.gemini.tools import add_response_format, build_tool_choice, build_tools
from native_api.dialects.shared import gateway_owned, vertex_urls
from native_api.dialects.shared.model_rules import find_rule, rename_roles
from native_api.dialects.shared.provider_options import merge_options
from native_api.dialects.shared.request_fields import read_thinking_budget
from native_api.dialects.shared.urls import check_path_segment
from native_api.dialects.streams import StreamParser
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import (
    DIALECT_FIELDS,
    ChatCompletion,
    ChatRequest,
    Json,
    Target,
    UpstreamRequest,
)
from native_api.types.chat import SAMPLING_EXTENSIONS

BASE_URL: Final = "https://generativelanguage.googleapis.com/v1beta"

OMITTED_FIELDS: Final = frozenset(
    {
        "logit_bias", "verbosity", "prediction", "metadata", "user", "safety_identifier",
        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "moderation",
        *(SAMPLING_EXTENSIONS - {"top_k"}),
    }
)  # fmt: skip

CONFIG_NAMES: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Unified field -> its name in `generationConfig`. If two have the same, the later one wins."""

SERVICE_TIERS: Final = {"default": "standard", "flex": "flex", "priority": "priority"}
"""OpenAI's names of service tiers -> the Gemini API's."""


class Gemini(Dialect):
    """Gemini's generateContent, at the Gemini API and at Vertex AI."""

    name = "gemini"
    native_format = "gemini"
    owned_members = gateway_owned.GEMINI
    renamed_fields: ClassVar[Mapping[str, str]] = {}
    omitted_fields = OMITTED_FIELDS
    translated_fields = DIALECT_FIELDS - OMITTED_FIELDS
    reasoning_members = frozenset({"max_tokens"})
    count_member = "totalTokens"
    remote_files = frozenset({"image_url", "video_url", "audio_url", "file"})

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        tools = body.get("tools") or []
        merge_options(body, options)
        if isinstance(options.get("tools"), list):
            body["tools"] = [*tools, *options["tools"]]
        config = body.get("toolConfig", {})
        if (
            isinstance(config, dict)
            and read_generation(target.known_model) >= 3
            and not _is_vertex(target)
            and _mixes_tool_kinds(body.get("tools"))
        ):
            # Together with functions, generation 3 runs built-in tools only if it may include their
            # blocks in the reply.
            body["toolConfig"] = {"includeServerSideToolInvocations": True, **config}

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        fields = _read_fields(chat, target)
        generation = read_generation(target.known_model)
        translator = MessageTranslator(
            PartTranslator(_find_uploads_url(target)),
            generation,
            empty_text=" " if _is_vertex(target) else "",
        )
        translator.translate(rename_roles(chat["messages"], find_rule(target).roles))
        body["contents"] = translator.turns
        if translator.system:
            body["systemInstruction"] = {"parts": translator.system}
        omitted += sorted(translator.omitted)
        _add_tools(fields, generation, body, omitted)
        config = _build_generation_config(fields)
        _add_reasoning(fields, target.known_model, config, omitted)
        add_response_format(fields, generation, config)
        if config:
            body["generationConfig"] = config
        _add_account_fields(fields, target, body, omitted)

    def url(self, chat: ChatRequest, target: Target) -> str:
        method = "streamGenerateContent?alt=sse" if chat.get("stream") else "generateContent"
        return f"{_find_base_url(target)}/{_build_model_path(target.model)}:{method}"

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return GeminiStream()

    def count_tokens_request(
        self, request: UpstreamRequest, target: Target
    ) -> UpstreamRequest | None:
        return build_count_request(request, _build_model_path(target.model), _is_vertex(target))

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


# --- URLs ----------------------------------------------------------------------------------------


def _is_vertex(target: Target) -> bool:
    return bool(target.provider.options.get("project"))


def _find_base_url(target: Target) -> str:
    """Everything before the model: the Gemini API's base URL, or a Google Cloud project's at Vertex
    AI."""
    if _is_vertex(target):
        return vertex_urls.build_publisher_url(target, "google")
    return target.provider.base_url or BASE_URL


def _build_model_path(model: str) -> str:
    """`models/NAME`. A name that is a path already (`tunedModels/NAME`) is used as it is. Raises
    UnsupportedField for a name that would leave the base URL."""
    steps = [check_path_segment(name) for name in model.split("/")]
    return "/".join(steps if len(steps) > 1 else ["models", *steps])


def _find_uploads_url(target: Target) -> str:
    """The URL of uploaded files as the Gemini API names them in `fileUri`, "" for Vertex AI, which
    has no uploads."""
    return "" if _is_vertex(target) else f"{BASE_URL}/files"


# --- the body ------------------------------------------------------------------------------------


def _read_fields(chat: ChatRequest, target: Target) -> Json:
    """The fields that are not null and that this provider does not refuse."""
    unsupported = target.provider.quirks.unsupported
    return {
        name: value for name, value in chat.items() if value is not None and name not in unsupported
    }


def _add_tools(fields: Json, generation: float, body: Json, omitted: list[str]) -> None:
    tools = build_tools(fields, generation)
    if tools:
        body["tools"] = tools
    choice = build_tool_choice(fields, generation)
    if choice:
        body["toolConfig"] = {"functionCallingConfig": choice}
    if fields.get("tools") and fields.get("parallel_tool_calls") is False:
        omitted.append("parallel_tool_calls")
    is_auto = not choice or choice["mode"] == "AUTO"
    if is_auto and any(
        tool.get("function", {}).get("strict") for tool in fields.get("tools") or ()
    ):
        omitted.append("tools.function.strict")
    search = fields.get("web_search_options") or {}
    omitted += [f"web_search_options.{name}" for name in sorted(search) if search[name]]


def _build_generation_config(fields: Json) -> Json:
    config = {CONFIG_NAMES[name]: fields[name] for name in CONFIG_NAMES if name in fields}
    stop = fields.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if fields.get("n", 1) != 1:
        config["candidateCount"] = fields["n"]
    if fields.get("logprobs"):
        config["responseLogprobs"] = True
        if fields.get("top_logprobs"):
            config["logprobs"] = fields["top_logprobs"]
    _add_modalities(fields, config)
    return config


def _add_modalities(fields: Json, config: Json) -> None:
    """OpenAI's clients cannot request audio without text, but Gemini's voices produce only audio.
    So a request for both means audio."""
    modalities = fields.get("modalities")
    if not modalities:
        return
    if "audio" not in modalities:
        config["responseModalities"] = [str(modality).upper() for modality in modalities]
        return
    config["responseModalities"] = ["AUDIO"]
    audio: Mapping[str, Any] = fields.get("audio") or {}
    if audio.get("format", "pcm16") != "pcm16":
        raise UnsupportedField("audio.format", "this provider answers in pcm16")
    if audio.get("voice"):
        config["speechConfig"] = {
            "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": audio["voice"]}}
        }


def _add_reasoning(fields: Json, model: str, config: Json, omitted: list[str]) -> None:
    effort = fields.get("reasoning_effort")
    if effort is None:
        return
    budget: Any = read_thinking_budget(fields)  # type: ignore[arg-type]
    thinking, is_exact = build_thinking_config(model, effort, budget)
    if thinking:
        config["thinkingConfig"] = thinking
    if not is_exact:
        omitted.append("reasoning_effort")


def _add_account_fields(fields: Json, target: Target, body: Json, omitted: list[str]) -> None:
    """`service_tier` and `store`, which only the Gemini API takes in the body."""
    tier = fields.get("service_tier", "auto")
    is_vertex = _is_vertex(target)
    if tier in SERVICE_TIERS and not is_vertex:
        body["serviceTier"] = SERVICE_TIERS[tier]
    elif tier not in ("auto", "default"):
        omitted.append("service_tier")
    if "store" in fields and not is_vertex:
        body["store"] = fields["store"]
    elif fields.get("store"):
        omitted.append("store")


def _mixes_tool_kinds(tools: Any) -> bool:
    """Whether there are both functions and tools that Google runs itself."""
    items = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return len({"functionDeclarations" in tool for tool in items}) == 2
