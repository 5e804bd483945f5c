"""Gemini's generateContent, at the Gemini API and at Vertex AI:
https://ai.google.dev/api/generate-content and
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference (read 2026-11).

Here: addresses and the body's frame. Beside it: `gemini_messages` (contents, with `gemini_parts`
and `gemini_replay`), `gemini_tools` (with `gemini_schema`), `gemini_models` (what differs by
model), `gemini_stream` (replies, with `gemini_reply`, `gemini_grounding`, `gemini_usage`) and
`gemini_errors`.

What has no unified field comes through `provider_options`: `safetySettings`,
`toolConfig.retrievalConfig`, `generationConfig.thinkingConfig.thinkingBudget`, built-in tools such
as `{"tools": [{"urlContext": {}}]}`, which are added to the request's own functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from native_api.dialects.base import Dialect, StreamParser, merge_options
from native_api.dialects.gemini.errors import read_error
from native_api.dialects.gemini.messages import MessageTranslator
from native_api.dialects.gemini.models import generation, thinking
from native_api.dialects.gemini.parts import Media
from native_api.dialects.gemini.stream import GeminiStream, build_reply
from native_api.dialects.gemini.tools import calling, declare, shape_answer
from native_api.dialects.shared import vertex_urls
from native_api.exceptions import UnsupportedField, UpstreamError
from native_api.types import DIALECT_FIELDS, ChatCompletion, ChatRequest, Json, Target

BASE_URL: Final = "https://generativelanguage.googleapis.com/v1beta"

HINTS: Final = frozenset(
    {"logit_bias", "verbosity", "prediction", "metadata", "user", "safety_identifier", "prompt_cache_key"}
)  # fmt: skip

CONFIG: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
}
"""Unified fields that `generationConfig` only names differently; the later one wins."""

SERVICE_TIERS: Final = {"default": "standard", "flex": "flex", "priority": "priority"}

SEGMENT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@:-]*")


class Gemini(Dialect):
    name = "gemini"
    renamed_fields: ClassVar[Mapping[str, str]] = {}
    omitted_fields = HINTS
    translated_fields = DIALECT_FIELDS - HINTS
    remote_files = frozenset({"image_url", "file"})

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
            and generation(target.model) >= 3
            and not _is_vertex(target)
            and _mixes_tools(body.get("tools"))
        ):
            # Beside functions, generation 3 runs built-in tools only where their blocks may be
            # told.
            body["toolConfig"] = {"includeServerSideToolInvocations": True, **config}

    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        said = _said(chat, target)
        number = generation(target.model)
        conversation = MessageTranslator(
            Media(_files_url(target)), number, empty=" " if _is_vertex(target) else ""
        )
        conversation.add(chat["messages"])
        body["contents"] = conversation.turns
        if conversation.system:
            body["systemInstruction"] = {"parts": conversation.system}
        omitted += sorted(conversation.omitted)
        self._tools(said, number, body, omitted)
        config = _generation_config(said, omitted)
        _thinking(said, target.model, config, omitted)
        shape_answer(said, number, config)
        if config:
            body["generationConfig"] = config
        _account(said, target, body, omitted)

    def _tools(self, said: Json, number: float, body: Json, omitted: list[str]) -> None:
        tools = declare(said, number)
        if tools:
            body["tools"] = tools
        config = calling(said, number)
        if config:
            body["toolConfig"] = {"functionCallingConfig": config}
        if said.get("tools") and said.get("parallel_tool_calls") is False:
            omitted.append("parallel_tool_calls")
        is_free = not config or config["mode"] == "AUTO"
        if is_free and any(
            tool.get("function", {}).get("strict") for tool in said.get("tools") or ()
        ):
            omitted.append("tools.function.strict")
        search = said.get("web_search_options") or {}
        omitted += [f"web_search_options.{name}" for name in sorted(search) if search[name]]

    def url(self, chat: ChatRequest, target: Target) -> str:
        method = "streamGenerateContent?alt=sse" if chat.get("stream") else "generateContent"
        return f"{_root(target)}/{_model_path(target.model)}:{method}"

    def response(self, body: Json, target: Target) -> ChatCompletion:
        return build_reply(body)

    def stream(self, target: Target) -> StreamParser:
        return GeminiStream()

    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        return read_error(status, headers, body)


# --- addresses ---------------------------------------------------------------------------------------------


def _is_vertex(target: Target) -> bool:
    return bool(target.provider.options.get("project"))


def _root(target: Target) -> str:
    """Everything before the model: the Gemini API's base URL, or a Google Cloud project's path at
    Vertex AI."""
    return (
        vertex_urls.build_publisher_url(target, "google")
        if _is_vertex(target)
        else target.provider.base_url or BASE_URL
    )


def _model_path(model: str) -> str:
    """`models/NAME`; a name with a path of its own (`tunedModels/NAME`) is taken as one. Never
    leaves the root."""
    steps = model.split("/")
    if not all(SEGMENT.fullmatch(step) for step in steps):
        raise UnsupportedField("model", "this provider has no model of such a name")
    return "/".join(steps if len(steps) > 1 else ["models", *steps])


def _files_url(target: Target) -> str:
    """Where the Gemini API keeps uploaded files, as it names them in `fileUri`; Vertex AI has no
    such place."""
    return "" if _is_vertex(target) else f"{BASE_URL}/files"


# --- the body ----------------------------------------------------------------------------------------------


def _said(chat: ChatRequest, target: Target) -> Json:
    """The fields that count: not null, and not among those that this provider was said to
    refuse."""
    unsupported = target.provider.quirks.unsupported
    return {
        name: value for name, value in chat.items() if value is not None and name not in unsupported
    }


def _generation_config(said: Json, omitted: list[str]) -> Json:
    config = {CONFIG[name]: said[name] for name in CONFIG if name in said}
    stop = said.get("stop")
    if stop:
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if said.get("n", 1) != 1:
        config["candidateCount"] = said["n"]
    if said.get("logprobs"):
        config["responseLogprobs"] = True
        if said.get("top_logprobs"):
            config["logprobs"] = said["top_logprobs"]
    _modalities(said, config)
    return config


def _modalities(said: Json, config: Json) -> None:
    """OpenAI's clients cannot ask for sound without text, Gemini's voices give nothing but sound:
    sound is what is meant."""
    modalities = said.get("modalities")
    if not modalities:
        return
    if "audio" not in modalities:
        config["responseModalities"] = [str(modality).upper() for modality in modalities]
        return
    config["responseModalities"] = ["AUDIO"]
    audio: Mapping[str, Any] = said.get("audio") or {}
    if audio.get("format", "pcm16") != "pcm16":
        raise UnsupportedField("audio.format", "this provider answers in pcm16")
    if audio.get("voice"):
        config["speechConfig"] = {
            "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": audio["voice"]}}
        }


def _thinking(said: Json, model: str, config: Json, omitted: list[str]) -> None:
    effort = said.get("reasoning_effort")
    if effort is None:
        return
    told, is_exact = thinking(model, effort)
    if told:
        config["thinkingConfig"] = told
    if not is_exact:
        omitted.append("reasoning_effort")


def _account(said: Json, target: Target, body: Json, omitted: list[str]) -> None:
    """`store` and `service_tier`, which only the Gemini API takes in the body."""
    tier = said.get("service_tier", "auto")
    is_vertex = _is_vertex(target)
    if tier in SERVICE_TIERS and not is_vertex:
        body["serviceTier"] = SERVICE_TIERS[tier]
    elif tier not in ("auto", "default"):
        omitted.append("service_tier")
    if "store" in said and not is_vertex:
        body["store"] = said["store"]
    elif said.get("store"):
        omitted.append("store")


def _mixes_tools(tools: Any) -> bool:
    """Whether functions stand beside tools that Google runs itself."""
    listed = [tool for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    return len({"functionDeclarations" in tool for tool in listed}) == 2
