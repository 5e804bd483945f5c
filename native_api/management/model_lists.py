"""The chat models that providers offer, for `native_quickstart`. Every provider is asked at once,
with its own key, for a few seconds. Models that do not chat, such as those for embeddings, are left
out.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from native_api.catalog.presets import PRESETS
from native_api.exceptions import ProviderFault, ProviderUnusable, UpstreamTimeout
from native_api.types import Json, Provider, UpstreamRequest
from native_api.types.model_names import is_plain
from native_api.upstream import transport
from native_api.upstream.auth.methods import authorize

LIST_SECONDS: Final = 5.0
MAX_LIST_BYTES: Final = 8 * 1024 * 1024
MAX_MODELS: Final = 100
"""Of one provider. The others can be called as `provider/model`."""
MAX_NAME: Final = 200
"""Characters, as many as a route's name may have."""

COHERE_LIST: Final = "/v1/models?endpoint=chat&page_size=500"
LISTS: Final = {
    "openai": "/models",
    "openai_responses": "/models",
    "anthropic": "/models?limit=500",
    "gemini": "/models?pageSize=500",
    "ollama": "/api/tags",
}
"""Dialect -> where its servers list their models, below the base URL. Cohere's list is beside it.
Sources, read 2026-11: https://platform.openai.com/docs/api-reference/models/list,
https://platform.claude.com/docs/en/api/models/list, https://ai.google.dev/api/models,
https://docs.cohere.com/reference/list-models, https://docs.ollama.com/api/tags."""

HEADERS: Final = {"anthropic": {"anthropic-version": "2023-06-01"}}

OTHER_KINDS: Final = frozenset(
    {
        "embedding", "embeddings", "image", "moderation", "rerank", "audio", "transcribe",
        "transcription", "video",
    }
)  # fmt: skip
"""`type` of models that do not chat, as Together, Vercel and LM Studio write it."""

OTHER_NAMES: Final = re.compile(
    r"embed|minilm|(^|[/_-])(bge|gte|e5|bert)[-_]|rerank|moderation|llama-?guard|prompt-guard"
    r"|shieldgemma|whisper|transcri|(^|[-_])(tts|asr|ocr)([-_]|$)|realtime|speech|lyria|robotics"
    r"|dall-?e|gpt-image|chatgpt-image|imagen|(^|[/_-])(veo|sora|flux|aqa)([-_.\d]|$)"
    r"|(^|[-_])live([-_]|$)|stable-diffusion|nano-banana|-audio|computer-use",
    re.IGNORECASE,
)
"""Names of models that do not chat, for lists that say nothing else."""

OPENAI_OTHER_NAMES: Final = re.compile(
    r"(babbage|davinci)-|-instruct|codex|deep-research|^(o\d|gpt-[\d.]+)-pro"
)
"""OpenAI's models that only have the Responses API or the old Completions."""

DATED: Final = re.compile(r"[-@](\d{4}-\d\d-\d\d|\d{8}|\d{4})$")
"""The end of a name that is one edition of the name before it."""


@dataclass(frozen=True, slots=True)
class ModelList:
    """What a provider answered: `models` to make routes of, and if it has not listed them, the
    `problem`, a part of a sentence."""

    models: tuple[str, ...] = ()
    total: int = 0
    """How many chat models the provider has, also beyond MAX_MODELS."""
    problem: str = ""


def list_models(
    providers: Iterable[Provider], seconds: float = LIST_SECONDS
) -> dict[str, ModelList]:
    """The list of each provider, by the provider's name. Never raises for one of them."""
    return asyncio.run(_list_all(list(providers), seconds))


async def _list_all(providers: Sequence[Provider], seconds: float) -> dict[str, ModelList]:
    try:
        lists = await asyncio.gather(*(_list_models(provider, seconds) for provider in providers))
    finally:
        await transport.aclose()
    return {provider.name: found for provider, found in zip(providers, lists, strict=True)}


async def _list_models(provider: Provider, seconds: float) -> ModelList:
    url = list_url(provider)
    if not url:
        return _without_list(provider, "its models cannot be listed")
    try:
        async with asyncio.timeout(seconds):
            return await _ask(provider, url)
    except (TimeoutError, UpstreamTimeout):
        return ModelList(problem=f"it did not answer within {seconds:g} seconds")
    except ProviderUnusable as error:
        return ModelList(problem=error.reason)
    except ProviderFault:
        return ModelList(problem="it cannot be reached")


def list_url(provider: Provider) -> str:
    """The address of the provider's list; "" if it has none, or lists models that the account has
    not deployed."""
    base_url = provider.base_url
    if provider.options or "{" in base_url or "?" in base_url:
        return ""
    if provider.dialect == "cohere":
        return base_url.removesuffix("/v2") + COHERE_LIST
    path = LISTS.get(provider.dialect, "")
    return path and base_url + path


async def _ask(provider: Provider, url: str) -> ModelList:
    request = UpstreamRequest(url, {}, dict(HEADERS.get(provider.dialect, {})))
    headers = await authorize(request, "GET", b"", provider)
    plain = {name: str(value) for name, value in headers.items()}
    response = await transport.send("GET", url, plain, b"", provider.timeouts.connect)
    try:
        if response.status_code in (401, 403):
            return ModelList(problem=f"it refused the key (HTTP {response.status_code})")
        if response.status_code in (404, 405):
            return _without_list(provider, f"it lists no models (HTTP {response.status_code})")
        if response.status_code != 200:
            return ModelList(problem=f"it lists no models (HTTP {response.status_code})")
        body = await transport.read_body(response, MAX_LIST_BYTES)
    finally:
        await response.aclose()
    return choose_models(read_entries(body), provider.vendor)


def _without_list(provider: Provider, problem: str) -> ModelList:
    preset = PRESETS.get(provider.vendor)
    models = (preset.starter_model,) if preset and preset.starter_model else ()
    return ModelList(models, len(models), problem)


def read_entries(body: bytes) -> list[Json]:
    """The models of an answer: a list, or an object with `data` or `models`."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return []
    if isinstance(answer, Mapping):
        answer = answer.get("data") or answer.get("models")
    entries = answer if isinstance(answer, list) else []
    return [entry for entry in entries if isinstance(entry, dict) and model_name(entry)]


def model_name(entry: Mapping[str, Any]) -> str:
    """The model's name as calls write it; "" if the entry has none that a caller may send."""
    name = next((entry[key] for key in ("id", "model", "name") if entry.get(key)), "")
    if not isinstance(name, str) or len(name) > MAX_NAME:
        return ""
    name = name.removeprefix("models/")
    return name if is_plain(name) else ""


def choose_models(entries: list[Json], vendor: str) -> ModelList:
    """Chat models, the newest first if the list says how old they are."""
    entries = [entry for entry in entries if is_chat_model(entry, vendor)]
    if not entries:
        return ModelList(problem="it lists no chat model")
    if all(isinstance(entry.get("created"), int) for entry in entries):
        entries = sorted(entries, key=lambda entry: -int(entry["created"]))
    names = list(dict.fromkeys(model_name(entry) for entry in entries))
    known = set(names)
    current = [
        name for name in names if DATED.sub("", name) == name or DATED.sub("", name) not in known
    ]
    return ModelList(tuple(current[:MAX_MODELS]), len(current))


def is_chat_model(entry: Mapping[str, Any], vendor: str = "") -> bool:
    """Whether the model chats: by what the list says of it, and by its name."""
    name = model_name(entry)
    if vendor == "openai" and OPENAI_OTHER_NAMES.search(name):
        return False
    return not OTHER_NAMES.search(name) and _says_that_it_chats(entry)


def _says_that_it_chats(entry: Mapping[str, Any]) -> bool:
    """False if a member says otherwise. Each vendor writes it differently."""
    details, features = _mapping(entry, "details"), _mapping(entry, "capabilities")
    outputs = _mapping(entry, "architecture").get("output_modalities")
    methods = entry.get("supportedGenerationMethods")  # Gemini
    return not (
        str(entry.get("type")) in OTHER_KINDS
        or "bert" in str(details.get("family"))  # Ollama
        or features.get("completion_chat") is False  # Mistral
        or (isinstance(outputs, list) and "text" not in outputs)  # OpenRouter
        or (isinstance(methods, list) and "generateContent" not in methods)
    )


def _mapping(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entry.get(name)
    return value if isinstance(value, Mapping) else {}
