"""The Messages request, field by field: those of Anthropic's API, its beta features included, and
the gateway's own. Unknown fields go on, because agents use new ones on their first day."""

from __future__ import annotations

from typing import Any, Final

from native_api.inbound import request_serializer as common
from native_api.inbound.anthropic.messages.blocks import MESSAGES, SYSTEM
from native_api.inbound.anthropic.messages.tool_shapes import (
    CACHE_CONTROL,
    TOOL_CHOICE,
    TOOLS,
)
from native_api.inbound.checks import (
    CheckedField,
    FieldError,
    any_list,
    any_object,
    at_least,
    boolean,
    integer,
    kind_of,
    list_of,
    number,
    one_of,
    string,
)
from native_api.inbound.request_serializer import RequestSerializer, field, require, require_model
from native_api.inbound.shapes import Kinds, Shape

MAX_STOPS: Final = 1000

BUDGET: Final = {"type": string, "display": string, "block_binding": any_object}
ONLY_TYPE: Final = Shape({"type": string})
THINKING: Final = Kinds(
    {
        "enabled": Shape({**BUDGET, "budget_tokens": integer}, required=("budget_tokens",)),
        "adaptive": Shape(BUDGET),
        "disabled": ONLY_TYPE,
        "between_tools": ONLY_TYPE,
    }
)
FORMAT: Final = Kinds(
    {"json_schema": Shape({"type": string, "schema": any_object}, required=("schema",))}
)
OUTPUT: Final = Shape({"effort": string, "format": FORMAT, "task_budget": any_object})
METADATA: Final = Shape({"user_id": string})
THREAD: Final = Shape({"type": string, "previous_message_id": string}, ("type",))


def container(value: Any, path: str) -> Any:
    """The id of a container, or an object with its skills."""
    return value if isinstance(value, str) else any_object(value, path)


def fallbacks(value: Any, path: str) -> Any:
    """Ours are names of models. Anthropic's are objects, or the word "default"."""
    if isinstance(value, str):
        return one_of("default")(value, path)
    if any(isinstance(item, dict) for item in any_list(value, path)):
        return list_of(any_object, common.MAX_FALLBACKS)(value, path)
    return common.fallbacks(value, path)


def credit_token(value: Any, path: str) -> Any:
    if not isinstance(value, str | dict):
        raise FieldError(path, f"expected a string or an object, not {kind_of(value)}")
    return value


class MessagesSerializer(RequestSerializer):
    """Checks a request for a message."""

    model = field(common.model)
    tier = field(common.tier)
    messages = CheckedField(MESSAGES)
    system = field(SYSTEM)
    tools = field(TOOLS)
    tool_choice = field(TOOL_CHOICE)
    thinking = field(THINKING)
    output_config = field(OUTPUT)
    cache_control = field(CACHE_CONTROL)
    context_management = field(any_object)
    compaction = field(any_object)
    mcp_servers = field(list_of(any_object))
    speed = field(string)
    billing_policy = field(any_object)
    user_profile_id = field(string)
    workspace_id = field(string)
    betas = field(any_list)
    conversation_id = field(common.conversation_id)
    fallbacks = field(fallbacks)
    provider_options = field(common.provider_options)
    max_tokens = field(at_least(0, integer))
    stream = field(boolean)
    stop_sequences = field(list_of(string, MAX_STOPS))
    temperature = field(number)
    top_p = field(number)
    top_k = field(integer)
    metadata = field(METADATA)
    service_tier = field(string)
    container = field(container)
    diagnostics = field(any_object)
    inference_geo = field(string)
    fallback_credit_token = field(credit_token)
    thread = field(THREAD)

    def check_together(self, checked: dict[str, Any]) -> None:
        require_model(checked)
        require(checked, "messages", "max_tokens")


class TokenCountSerializer(MessagesSerializer):
    """Checks a request whose tokens are to be counted. It may be the whole one."""

    def check_together(self, checked: dict[str, Any]) -> None:
        require_model(checked)
        require(checked, "messages")
