"""Tools, the choice among them and the shape of the answer, as Converse says them.

Converse's `toolChoice` has no `none`, and refuses a history with tool blocks where no tools are
offered. So where no tool may be called, Claude is told by its own `tool_choice`, and for other
models the history is told in words (`bedrock_messages.in_words`). Source:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from native_api.dialects.bedrock.messages import MessageTranslator
from native_api.dialects.bedrock.models import HAS_SCHEMAS, UNFORCED, maker
from native_api.dialects.bedrock.schema import text_format
from native_api.dialects.shared.tools import (
    ANSWER_TOOL,
    read_functions,
    read_response_schema,
    read_tool_choice,
)
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json


class Toolbox:
    """What a request says of tools: `config` for `toolConfig`, `fields` for
    `additionalModelRequestFields`.

    `is_forced` tells whether the model must call one, `is_quiet` whether the history has to be told
    in words.
    """

    def __init__(self, said: ChatRequest, model: str, conversation: MessageTranslator) -> None:
        self.config: Json = {}
        self.fields: Json = {}
        self.is_forced = False
        self.is_quiet = False
        self._said = said
        self._model = model
        self._maker = maker(model)
        self._conversation = conversation
        self._mode, self._name = read_tool_choice(said)
        self._offer()
        if not self.config and conversation.called:
            self._keep_quiet()

    def _offer(self) -> None:
        tools = [] if self._mode == "none" else self._tools()
        if _answers_by_tool(self._said, self._model, self._mode):
            tools.append(self._answer())
            self._mode = "required"
        if self._said.get("web_search_options") is not None:
            tools.append(self._web_search())
        if tools:
            self.config = {"tools": tools}
            self._choose()

    def _tools(self) -> list[Json]:
        blocks: list[Json] = []
        for tool in read_functions(self._said, "Bedrock"):
            blocks += [self._tool(tool["function"]), *self._conversation.cache_point(tool, "tools")]
        return blocks

    def _tool(self, function: Mapping[str, Any]) -> Json:
        told: Json = {
            "name": function["name"],
            "inputSchema": {"json": {"type": "object", **(function.get("parameters") or {})}},
        }
        if (function.get("description") or "").strip():
            told["description"] = function["description"]
        if function.get("strict") and HAS_SCHEMAS.search(self._model):
            told["strict"] = True
        elif function.get("strict"):
            self._conversation.omitted.add("tools.function.strict")
        return {"toolSpec": told}

    def _answer(self) -> Json:
        if self._maker in UNFORCED:
            raise UnsupportedField(
                "response_format",
                "this model can neither be given a schema nor made to call a tool",
            )
        if any(
            tool["function"]["name"] == ANSWER_TOOL
            for tool in read_functions(self._said, "Bedrock")
        ):
            raise UnsupportedField(
                "tools", f"the name {ANSWER_TOOL!r} is taken by response_format with this provider"
            )
        told = self._said["response_format"].get("json_schema") or {}
        schema = {"type": "object", **(read_response_schema(self._said) or {})}
        description = told.get("description") or "Give the answer by calling this."
        return {
            "toolSpec": {
                "name": ANSWER_TOOL,
                "description": description,
                "inputSchema": {"json": schema},
            }
        }

    def _web_search(self) -> Json:
        if "nova" not in self._model:
            raise UnsupportedField(
                "web_search_options", "only Amazon's Nova models search the web here"
            )
        search = self._said["web_search_options"]
        self._conversation.omitted |= {
            f"web_search_options.{name}" for name in search if search[name]
        }
        return {"systemTool": {"name": "nova_grounding"}}

    def _choose(self) -> None:
        """`auto` is the wire's default; only what differs from it is said."""
        choices: dict[str, Json] = {
            "required": {"any": {}},
            "function": {"tool": {"name": self._name}},
        }
        choice = choices.get(self._mode)
        self.is_forced = choice is not None
        if self._said.get("parallel_tool_calls") is False and self._said.get("tools"):
            if self._maker == "anthropic":
                self._choose_one(choice)
                return
            self._conversation.omitted.add("parallel_tool_calls")
        if choice:
            self.config["toolChoice"] = choice

    def _choose_one(self, choice: Json | None) -> None:
        """Claude's own words for one call at a time; they must stand in place of `toolChoice`."""
        kind = next(iter(choice or {"auto": {}}))
        own: Json = {"type": kind, "disable_parallel_tool_use": True}
        self.fields["tool_choice"] = {**own, "name": self._name} if kind == "tool" else own

    def _keep_quiet(self) -> None:
        """No tool may be called, yet the history has calls."""
        if self._maker != "anthropic":
            self.is_quiet = True
            return
        self._mode = ""
        known = self._tools()
        names = {tool["toolSpec"]["name"] for tool in known if "toolSpec" in tool}
        self.config = {"tools": known + _stubs(set(self._conversation.called.values()) - names)}
        self.fields["tool_choice"] = {"type": "none"}


def _stubs(names: Collection[str]) -> list[Json]:
    """Tools that only the history knows."""
    return [
        {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}
        for name in sorted(names)
    ]


def _answers_by_tool(said: ChatRequest, model: str, mode: str) -> bool:
    """Whether a tool must carry the structured answer; not on a turn that must be a call anyway."""
    return (
        read_response_schema(said) is not None
        and text_format(said, model) is None
        and mode not in ("required", "function")
    )
