"""The members of a provider's body that the gateway owns: one table per wire, which its dialect
declares as `owned_members`.

They decide access, price, usage, framing, state and addresses. A caller sets them only through the
unified request, which is checked, reserved for and recorded; never through `provider_options`. The
output limit, the number of choices and the service tier of a finished body are read here too.

A path names a member: `options.num_predict`, or `tools[].model` for a member of each item of a
list. Names are compared without case, `_` and `-`: Google's servers take `maxOutputTokens` and
`max_output_tokens`, and Go's JSON decoder ignores case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from native_api.exceptions import UnsupportedField
from native_api.types import Json

Tree = Mapping[str, Any]
"""Normalized member name -> subtree or kind of decision; `[]` leads to the items of a list."""

MAX_NAME_LENGTH: Final = 50
"""Characters of a member's name that an error shows. Longer names are not cached."""

REASONS: Final[Mapping[str, str]] = {
    "access": "it decides which model answers; set `model` or `fallbacks` in the request itself",
    "output": "it limits the output; set `max_completion_tokens` in the request itself",
    "choices": "it decides how many choices are produced; set `n` in the request itself",
    "price": "it decides the price of the call; set `service_tier` in the request itself",
    "usage": "it decides whether the usage of the call is known; only the gateway sets it",
    "framing": "it decides how the reply is framed; set `stream` in the request itself",
    "priority": "it decides whose request is served first",
    "state": (
        "what a provider stores is shared by all callers of its key; "
        "an operator can allow it with OWN_ACCOUNT"
    ),
    "address": "it decides where the provider connects to",
    "account": "it decides with whose account or key the call is made; only an operator sets that",
}
"""Kind of decision -> why a caller may not set the member, and what to do instead."""


def normalize_name(name: str) -> str:
    """A member's name as the most lenient server compares it."""
    return _normalize_cached(name) if len(name) <= MAX_NAME_LENGTH else _normalize(name)


def _normalize(name: str) -> str:
    return name.replace("_", "").replace("-", "").casefold()


_normalize_cached: Final = lru_cache(maxsize=2048)(_normalize)


class OwnedMembers(Mapping[str, str]):
    """The table of one wire: path of a member -> kind of decision, which `REASONS` lists."""

    def __init__(
        self, members: Mapping[str, str], wrappers: Iterable[str] = (), server_tools: bool = False
    ) -> None:
        """`wrappers` are members that servers unwrap: the whole table holds inside them as well, at
        any depth. `server_tools` says that tools other than functions may name models anywhere."""
        unknown = sorted(set(members.values()) - REASONS.keys())
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not a kind of owned member. Kinds: {', '.join(REASONS)}."
            )
        self._kinds = dict(members)
        self.wrappers = tuple(wrappers)
        self._server_tools = server_tools
        self._tree = _build_tree(members, self.wrappers)
        self._output_paths = self._find_paths("output")
        self._choice_paths = self._find_paths("choices")

    def __getitem__(self, path: str) -> str:
        return self._kinds[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    def _find_paths(self, kind: str) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(path.split(".")) for path, each in self.items() if each == kind)

    def check_options(self, options: Mapping[str, Any], path: str, own_account: bool) -> None:
        """Raise UnsupportedField for options that set an owned member, naming its path below
        `path`; "" for the body itself.

        A wrong type in place of an object or list around an owned member is refused too.
        `own_account` allows members that decide about state.
        """
        allowed = frozenset({"state"}) if own_account else frozenset()
        _check_members(options, self._tree, path, allowed)
        if self._server_tools:
            for tool, place in _find_tools(options):
                _check_tool(tool, f"{path}.{place}".removeprefix("."))

    def read_output_limit(self, body: Json) -> int | None:
        """The largest output limit in a finished body, including the dialect's default; None if
        there is none.

        In tokens per choice.
        """
        return max(_read_numbers(self._output_paths, body), default=None)

    def read_choice_count(self, body: Json) -> int:
        """How many choices a finished body asks for."""
        return max(_read_numbers(self._choice_paths, body), default=1)


def read_requested_tier(body: Json) -> str:
    """The service tier that a finished body asks for, by the wire's own name; "" if it asks for
    none."""
    for name in ("service_tier", "serviceTier"):
        tier = body.get(name)
        if isinstance(tier, Mapping):
            tier = tier.get("type")
        if isinstance(tier, str):
            return tier
    return ""


def _build_tree(members: Mapping[str, str], wrappers: Iterable[str]) -> Tree:
    tree: dict[str, Any] = {}
    tree.update((normalize_name(wrapper), tree) for wrapper in wrappers)
    for path, kind in members.items():
        *parents, last = path.replace("[]", ".[]").split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent if parent == "[]" else normalize_name(parent), {})
        node[normalize_name(last)] = kind
    return tree


def _check_members(
    options: Mapping[str, Any], tree: Tree, path: str, allowed: frozenset[str]
) -> None:
    for name, value in options.items():
        rule = tree.get(normalize_name(name))
        if rule is None or (isinstance(rule, str) and rule in allowed):
            continue
        member = f"{path}.{name[:MAX_NAME_LENGTH]}".removeprefix(".")
        if isinstance(rule, str):
            raise UnsupportedField(member, REASONS[rule])
        if "[]" in rule:
            _check_items(value, rule["[]"], member, allowed)
        elif isinstance(value, Mapping):
            _check_members(value, rule, member, allowed)
        else:
            raise UnsupportedField(member, "expected an object")


def _check_items(value: Any, tree: Tree, path: str, allowed: frozenset[str]) -> None:
    if not isinstance(value, list):
        raise UnsupportedField(path, "expected a list")
    for index, item in enumerate(value):
        if isinstance(item, Mapping):
            _check_members(item, tree, f"{path}[{index}]", allowed)


CLIENT_TOOLS: Final = ("function", "custom")


def _find_tools(body: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
    """The tools of a body with their paths, and those that come in its conversation: in items of
    Responses, and in the blocks of Anthropic's that add a tool."""
    yield from _list_tools(body, "tools")
    for index, item in enumerate(_objects(body.get("input"))):
        if item.get("type") != "mcp_list_tools":
            yield from _list_tools(item, f"input[{index}].tools")
    for index, turn in enumerate(_objects(body.get("messages"))):
        for number, block in enumerate(_objects(turn.get("content"))):
            tool = block.get("tool")
            if isinstance(tool, Mapping):
                place = f"messages[{index}].content[{number}].tool.definition"
                yield tool.get("definition"), place


def _list_tools(owner: Mapping[str, Any], path: str) -> Iterator[tuple[Any, str]]:
    tools = owner.get("tools")
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        yield tool, f"{path}[{index}]"


def _objects(items: Any) -> Iterator[Mapping[str, Any]]:
    """The items of a list; an empty object for each that is none."""
    for item in items if isinstance(items, list) else ():
        yield item if isinstance(item, Mapping) else {}


def _check_tool(tool: Any, path: str) -> None:
    """Refuse a model that a server's own tool would call, such as an advisor's."""
    remaining = [] if _is_client_tool(tool) else [tool]
    while remaining:
        value = remaining.pop()
        if isinstance(value, list):
            remaining += value
        elif isinstance(value, dict):
            remaining += value.values()
            for name, member in value.items():
                if _names_model(name) and isinstance(member, str | list):
                    raise UnsupportedField(f"{path}.{name[:MAX_NAME_LENGTH]}", REASONS["access"])


def _is_client_tool(tool: Any) -> bool:
    """Whether a tool is the client's own: a function, also in Anthropic's shape, or a namespace of
    such tools."""
    if not isinstance(tool, dict):
        return False
    if tool.get("type") == "namespace" and isinstance(tool.get("tools"), list):
        return all(map(_is_client_tool, tool["tools"]))
    return tool.get("type") in CLIENT_TOOLS or ("type" not in tool and "input_schema" in tool)


def _names_model(name: str) -> bool:
    return normalize_name(name).endswith(("model", "models"))


def _read_numbers(paths: tuple[tuple[str, ...], ...], body: Json) -> Iterator[int]:
    for steps in paths:
        value: Any = body
        for step in steps:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            yield value


# --- the tables ----------------------------------------------------------------------------------
# Sources: each wire's reference, named in its dialect's module.

ACCESS: Final = {"model": "access", "models": "access", "fallbacks": "access"}
STREAM: Final = {"stream": "framing", "stream_options": "usage"}

ROUTING_MEMBERS: Final = (
    "route", "preset", "deployment", "deployment_id", "azure_deployment", "engine",
    "model_id", "model_list", "custom_llm_provider", "router_settings_override", "lora",
    "lora_path", "lora_request", "adapter_id", "adapter_source", "endpoint_id", "draft_model",
    "safety_model", "compound_custom.models", "provider_options.gateway",
)  # fmt: skip
"""What chooses a model, an adapter of one, or who runs it: Vercel's gateway
(https://vercel.com/docs/ai-gateway/models-and-providers/provider-options), OpenRouter
(https://openrouter.ai/docs/guides/routing/provider-selection), LiteLLM's proxy
(https://docs.litellm.ai/docs/completion/input), SGLang
(https://docs.sglang.ai/advanced_features/lora.html), llama.cpp
(https://github.com/ggml-org/llama.cpp/tree/master/tools/server), LoRAX, LM Studio, Together,
Groq (https://console.groq.com/docs/api-reference) (read 2026-11)."""

ADDRESS_MEMBERS: Final = (
    "mcp_servers", "data_sources", "server_url", "base_url", "api_base", "api_url", "endpoint",
    "proxy", "proxies", "webhook", "webhook_url", "callback_url", "callbacks", "success_callback",
    "failure_callback", "kv_transfer_params", "bootstrap_host", "bootstrap_port", "bootstrap_room",
)  # fmt: skip
"""What a server connects to: other gateways' targets and callbacks, Azure's data sources
(https://learn.microsoft.com/azure/ai-foundry/openai/references/on-your-data), and the peers of
vLLM (https://docs.vllm.ai/en/latest/features/disagg_prefill.html) and SGLang (read 2026-11)."""

ACCOUNT_MEMBERS: Final = (
    "api_key", "api_token", "access_token", "auth_token", "azure_ad_token", "authorization",
    "api_version", "organization", "organization_id", "project", "project_id", "headers",
    "extra_headers", "default_headers", "extra_query", "default_query", "user_config",
    "litellm_params", "litellm_credential_name", "litellm_credentials", "aws_access_key_id",
    "aws_secret_access_key", "aws_session_token", "aws_profile_name", "aws_role_name",
    "aws_session_name", "aws_web_identity_token", "aws_region_name", "aws_sts_endpoint",
    "aws_bedrock_runtime_endpoint", "region_name", "vertex_credentials", "vertex_project",
    "vertex_location", "vertex_ai_credentials", "vertex_ai_project", "vertex_ai_location",
    "tenant_id", "client_id", "client_secret",
)  # fmt: skip
"""What other gateways and SDKs take for the account (https://docs.litellm.ai/docs/completion/input,
read 2026-11)."""

CHAT: Final = {
    **ACCESS,
    **STREAM,
    **dict.fromkeys(ROUTING_MEMBERS, "access"),
    "tools[].model": "access",
    "max_tokens": "output",
    "max_completion_tokens": "output",
    "max_output_tokens": "output",
    "max_new_tokens": "output",
    "max_tokens_to_sample": "output",
    "n_predict": "output",
    "num_predict": "output",
    "n": "choices",
    "best_of": "choices",
    "use_beam_search": "choices",
    "num_beams": "choices",
    "num_return_sequences": "choices",
    "num_generations": "choices",
    "candidate_count": "choices",
    "n_cmpl": "choices",
    "service_tier": "price",
    "speed": "price",
    "plugins": "price",
    "input_cost_per_token": "price",
    "output_cost_per_token": "price",
    "usage": "usage",
    "background": "usage",
    "deferred": "usage",
    "priority": "priority",
    "id_slot": "priority",
    "store": "state",
    "previous_response_id": "state",
    "conversation": "state",
    "container": "state",
    **dict.fromkeys(ADDRESS_MEMBERS, "address"),
    **dict.fromkeys(ACCOUNT_MEMBERS, "account"),
}

ANTHROPIC: Final = OwnedMembers(
    {
        **CHAT,
        "inference_geo": "price",
        "thread": "state",
        "workspace_id": "account",
        "user_profile_id": "account",
        "billing_policy": "account",
    },
    wrappers=("extra_body",),
    server_tools=True,
)
"""Other gateways have this wire, too, with all that they know in chats."""

BEDROCK_MODELS: Final = {
    **ANTHROPIC,
    "max_tokens_to_sample": "output",
    "max_completion_tokens": "output",
    "max_output_tokens": "output",
    "max_new_tokens": "output",
    "max_gen_len": "output",
    "inferenceConfig.max_new_tokens": "output",
    "textGenerationConfig.maxTokenCount": "output",
    "n": "choices",
    "num_generations": "choices",
    "num_results": "choices",
    "num_return_sequences": "choices",
}
"""The names of these members in the model-specific fields of Bedrock."""

OPENAI: Final = OwnedMembers(CHAT, wrappers=("extra_body",), server_tools=True)
"""For all OpenAI-compatible servers, including other gateways, which have more members than
OpenAI. A caller may send members that nobody here knows, so these are all that are known to decide
about such things at any of them. An advisor of OpenRouter's calls any model
(https://openrouter.ai/docs/guides/features/server-tools/advisor, read 2026-11)."""

OPENAI_RESPONSES: Final = OwnedMembers(
    {**CHAT, "prompt": "state"}, wrappers=("extra_body",), server_tools=True
)
"""Other gateways have this wire, too, with all that they know in chats."""

GEMINI: Final = OwnedMembers(
    {
        **ACCESS,
        "generationConfig.maxOutputTokens": "output",
        "generationConfig.candidateCount": "choices",
        "serviceTier": "price",
        "store": "state",
        "cachedContent": "state",
    }
)

BEDROCK: Final = OwnedMembers(
    {
        **ACCESS,
        "modelId": "access",
        "inferenceConfig.maxTokens": "output",
        "serviceTier": "price",
        "performanceConfig": "price",
        **{f"additionalModelRequestFields.{path}": kind for path, kind in BEDROCK_MODELS.items()},
    }
)

COHERE: Final = OwnedMembers(
    {
        **ACCESS,
        "stream": "framing",
        "max_tokens": "output",
        "num_generations": "choices",
        "priority": "priority",
    }
)

OLLAMA: Final = OwnedMembers({**ACCESS, "stream": "framing", "options.num_predict": "output"})
