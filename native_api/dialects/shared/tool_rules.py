"""What wires and vendors refuse in tools: one table, and the edits that follow from it.

1. A tool whose name is refused makes the target unsuitable: another may take it, and a name that
   the gateway made up would come back to a client that does not know it.
2. The names of earlier calls are rewritten where they are refused. No tool of this request has such
   a name, so nothing is called by it; a conversation that began elsewhere goes on.
3. Parameters become what the wire takes (`schema_roots`, `moonshot_schema`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from native_api.dialects.shared.moonshot_schema import adapt_schema
from native_api.dialects.shared.schema_roots import fold_parameters
from native_api.dialects.shared.tools import build_parameters
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json


@dataclass(frozen=True, slots=True, eq=False)
class ToolRules:
    """What a wire or vendor refuses in tools. By default nothing."""

    first: str = ""
    """The characters that a name may begin with, as in a pattern; "" for any of `others`."""
    others: str = ""
    """The characters that a name may have; "" for any."""
    length: int = 0
    """The most characters of a name; 0 for any number."""
    plain_roots: bool = False
    """Whether parameters must be a plain object (`schema_roots`)."""
    keeps_strict: bool = True
    """Whether a tool can be `strict` although not all of its properties are required."""
    needs_parameters: bool = False
    """Whether parameters must be there, and have a `type`."""
    is_moonshot: bool = False
    """Whether parameters are written in Moonshot's flavour of JSON Schema."""

    words: str = ""
    """The same in words, for an error."""

    def takes(self, name: str) -> bool:
        """Whether a tool may have this name."""
        return bool(_compile(self).fullmatch(name))


@lru_cache(maxsize=64)
def _compile(rules: ToolRules) -> re.Pattern[str]:
    rest = str(rules.length - 1) if rules.length else ""
    return re.compile(f"[{rules.first or rules.others}][{rules.others}]{{0,{rest}}}")


WORD: Final = r"a-zA-Z0-9_-"
LETTER: Final = r"a-zA-Z"
WORDS_64: Final = "letters, digits, '_' and '-', at most 64"

TOOL_RULES: Final[Mapping[str, ToolRules]] = {
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/define-tools (read 2026-11)
    "anthropic": ToolRules(
        others=WORD, length=128, words="letters, digits, '_' and '-', at most 128",
        plain_roots=True,
    ),
    # https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html
    # (read 2026-11)
    "bedrock": ToolRules(others=WORD, length=64, words=WORDS_64, plain_roots=True),
    # https://ai.google.dev/api/caching#FunctionDeclaration (read 2026-11). Its schemas are adapted
    # by the dialect.
    "gemini": ToolRules(
        first=r"a-zA-Z_", others=r"a-zA-Z0-9_.:-", length=128,
        words="letters, digits, '_', '.', ':' and '-', at most 128, beginning with a letter or '_'",
    ),
    # "tool names can only contain certain characters (A-Za-z0-9_) and can't begin with a digit"
    # (https://docs.cohere.com/reference/errors, read 2026-11)
    "cohere": ToolRules(
        first=r"a-zA-Z_", others=r"a-zA-Z0-9_",
        words="letters, digits and '_', not beginning with a digit",
    ),
    # https://platform.openai.com/docs/api-reference/chat/create (read 2026-11)
    "openai": ToolRules(
        others=WORD, length=64, words=WORDS_64, plain_roots=True, keeps_strict=False
    ),
    # "Function name was … but must be a-z, A-Z, 0-9, or contain underscores and dashes, with a
    # maximum length of 64" (https://github.com/Kochava-Studios/witsy/pull/164, 2025-04); the field
    # `parameters` is required in the types of mistralai 3.7
    "mistral": ToolRules(others=WORD, length=64, words=WORDS_64, needs_parameters=True),
    # https://api-docs.deepseek.com/api/create-chat-completion (read 2026-11)
    "deepseek": ToolRules(others=WORD, length=64, words=WORDS_64),
    # "function name is invalid, must start with a letter and can contain letters, numbers,
    # underscores, and dashes" (https://github.com/MoonshotAI/kimi-cli/issues/1773, 2026-04)
    "moonshot": ToolRules(
        first=LETTER, others=WORD, length=64, plain_roots=True, needs_parameters=True,
        is_moonshot=True, words=f"{WORDS_64}, beginning with a letter",
    ),
    # Claude behind an API that only forwards: what Anthropic says is final.
    "claude": ToolRules(others=WORD, length=64, words=WORDS_64, plain_roots=True),
}  # fmt: skip
"""A wire or a vendor -> its rules. `Quirks.tool_rules` names the row of a vendor."""

NO_RULES: Final = ToolRules()

RULES_BY_MODEL: Final = (
    (re.compile(r"claude"), "claude"),
    (re.compile(r"kimi|k\d(-|$)"), "moonshot"),
    (re.compile(r"gpt-(?!oss)|o\d(-|$)"), "openai"),
)
"""How the names of models begin whose maker's rules hold whoever hosts them -> the row."""


def find_tool_rules(row: str, model: str) -> ToolRules:
    """The rules of a vendor; without any, those of the model's maker."""
    name = model.rpartition("/")[2].lower()
    return TOOL_RULES.get(row) or next(
        (TOOL_RULES[found] for pattern, found in RULES_BY_MODEL if pattern.match(name)), NO_RULES
    )


def apply_tool_rules(chat: ChatRequest, rules: ToolRules, omitted: list[str]) -> ChatRequest:
    """The chat with tools and earlier calls as the target takes them. Changes nothing in `chat`.

    Raises UnsupportedField for a tool whose name is refused.
    """
    tools, messages = chat.get("tools"), chat["messages"]
    if not rules.others:
        return chat
    edited: Any = {**chat}
    if not all(map(rules.takes, _list_called_names(messages))):
        edited["messages"] = [_rename_calls(message, rules) for message in messages]
    if tools:
        edited["tools"] = [
            _build_tool(tool, rules, f"tools[{index}]", omitted) for index, tool in enumerate(tools)
        ]
    if rules.is_moonshot and (chat.get("response_format") or {}).get("type") == "json_schema":
        edited["response_format"] = _adapt_answer(edited["response_format"])
    result: ChatRequest = edited
    return result


def _adapt_answer(response_format: Json) -> Json:
    """The answer's schema in Moonshot's flavour, which holds for it as for tools."""
    answer = response_format["json_schema"]
    if not answer.get("schema"):
        return response_format
    schema = adapt_schema(answer["schema"], "response_format.json_schema.schema")
    return {**response_format, "json_schema": {**answer, "schema": schema}}


# --- tools ---------------------------------------------------------------------------------------


def _build_tool(tool: Json, rules: ToolRules, path: str, omitted: list[str]) -> Json:
    kind = _read_kind(tool)
    definition = tool.get(kind) or {}
    name = definition.get("name")
    if isinstance(name, str) and not rules.takes(name):
        raise UnsupportedField(f"{path}.{kind}.name", f"this provider takes {rules.words}")
    if kind == "custom":
        return tool
    function = _build_function(definition, rules, f"{path}.function.parameters", omitted)
    return tool if function is definition else {**tool, "function": function}


def _build_function(function: Json, rules: ToolRules, path: str, omitted: list[str]) -> Json:
    parameters = function.get("parameters") or {}
    if not parameters and not rules.needs_parameters:
        return function
    built, note = fold_parameters(parameters, path) if rules.plain_roots else (parameters, "")
    if rules.is_moonshot and built:
        built = adapt_schema(built, path)
    if rules.needs_parameters:
        built = build_parameters({"parameters": built})
    if built == parameters:
        return function
    edited = {**function, "parameters": built}
    if note:
        edited["description"] = "\n\n".join(filter(None, (function.get("description"), note)))
    if edited.get("strict") and not rules.keeps_strict:
        edited["strict"] = False
        omitted.append("tools.function.strict")
    return edited


# --- earlier calls -------------------------------------------------------------------------------


def _read_kind(item: Json) -> str:
    """The member of a tool or a call that has its name. Others may have any shape."""
    return "custom" if item.get("type") == "custom" else "function"


def _list_called_names(messages: Sequence[Any]) -> set[str]:
    """The names of the tools in earlier calls and results."""
    names = set()
    for message in messages:
        role = message["role"]
        if role == "assistant":
            for call in message.get("tool_calls") or ():
                names.add(call[_read_kind(call)]["name"])
            if message.get("function_call"):
                names.add(message["function_call"]["name"])
        elif role in ("tool", "function") and message.get("name"):
            names.add(message["name"])
    return names


def _rename_calls(message: Any, rules: ToolRules) -> Any:
    role = message["role"]
    if role == "assistant" and (message.get("tool_calls") or message.get("function_call")):
        return _rename_answer(message, rules)
    if role in ("tool", "function") and message.get("name"):
        name = rewrite_name(message["name"], rules)
        return message if name == message["name"] else {**message, "name": name}
    return message


def _rename_answer(message: Any, rules: ToolRules) -> Any:
    edited = {**message}
    if message.get("tool_calls"):
        edited["tool_calls"] = [_rename_call(call, rules) for call in message["tool_calls"]]
    if message.get("function_call"):
        edited["function_call"] = _rename_function(message["function_call"], rules)
    return edited


def _rename_call(call: Json, rules: ToolRules) -> Json:
    kind = _read_kind(call)
    function = _rename_function(call[kind], rules)
    return call if function is call[kind] else {**call, kind: function}


def _rename_function(function: Json, rules: ToolRules) -> Json:
    name = rewrite_name(function["name"], rules)
    return function if name == function["name"] else {**function, "name": name}


def rewrite_name(name: str, rules: ToolRules) -> str:
    """The name itself if it is accepted, otherwise one like it."""
    if rules.takes(name):
        return name
    plain = re.sub(f"[^{rules.others}]", "_", name)
    if rules.first and not re.match(f"[{rules.first}]", plain):
        plain = f"tool_{plain}"
    return (plain or "tool")[: rules.length or None]
