"""Tools, the tool choice and the answer tool on Bedrock's wire.

Converse's `toolChoice` has no `none`, and Converse refuses a history with tool blocks if the
request offers no tools. So if no tool may be called, Claude gets its own `tool_choice`, and for
other models the history is written as text (see `tool_history`). Source:
https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolConfiguration.html and
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html (read 2026-11).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from native_api.dialects.bedrock.messages import MessageTranslator
from native_api.dialects.bedrock.models import SCHEMA_MODELS, UNFORCED_TOOLS_MAKERS, read_maker
from native_api.dialects.bedrock.schema import build_text_format
from native_api.dialects.shared.tools import (
    ANSWER_TOOL,
    build_answer_function,
    read_functions,
    read_response_schema,
    read_tool_choice,
)
from native_api.exceptions import UnsupportedField
from native_api.types import ChatRequest, Json


def can_search(model: str) -> bool:
    """Only Amazon's own models can."""
    return "nova" in model


class ToolConfigBuilder:
    """Builds what a request says about tools: `config` for `toolConfig`, `model_fields` for
    `additionalModelRequestFields`.

    `must_call` says whether the model must call a tool, `needs_text_history` whether the tool
    blocks of the history must be written as text.
    """

    def __init__(
        self,
        fields: ChatRequest,
        model: str,
        translator: MessageTranslator,
        option_tools: Collection[Any] = (),
    ) -> None:
        self.config: Json = {}
        self.model_fields: Json = {}
        self.must_call = False
        self.needs_text_history = False
        self._fields = fields
        self._model = model
        self._maker = read_maker(model)
        self._translator = translator
        self._mode, self._name = read_tool_choice(fields)
        self._add_tools()
        # Tools that the client's `provider_options` add may be called, whatever the request says.
        if not self.config and translator.tool_names and not option_tools:
            self._forbid_calls()

    def _add_tools(self) -> None:
        tools = [] if self._mode == "none" else self._build_tools()
        if _needs_answer_tool(self._fields, self._model, self._mode):
            tools.append(self._build_answer_tool())
            self._mode = "required"
        if self._fields.get("web_search_options") is not None:
            tools.append(self._build_web_search())
        if tools:
            self.config = {"tools": tools}
            self._add_tool_choice()

    def _build_tools(self) -> list[Json]:
        blocks: list[Json] = []
        for tool in read_functions(self._fields, "Bedrock"):
            cache_point = self._translator.build_cache_point(tool, "tools")
            blocks += [self._build_tool(tool["function"]), *cache_point]
        return blocks

    def _build_tool(self, function: Mapping[str, Any]) -> Json:
        spec: Json = {
            "name": function["name"],
            "inputSchema": {"json": {"type": "object", **(function.get("parameters") or {})}},
        }
        if (function.get("description") or "").strip():
            spec["description"] = function["description"]
        if function.get("strict") and SCHEMA_MODELS.search(self._model):
            spec["strict"] = True
        elif function.get("strict"):
            self._translator.omitted.add("tools.function.strict")
        return {"toolSpec": spec}

    def _build_answer_tool(self) -> Json:
        if self._maker in UNFORCED_TOOLS_MAKERS:
            raise UnsupportedField(
                "response_format",
                "this model has no structured output and cannot be forced to call a tool",
            )
        names = (tool["function"]["name"] for tool in read_functions(self._fields, "Bedrock"))
        if ANSWER_TOOL in names:
            raise UnsupportedField(
                "tools", f"the name {ANSWER_TOOL!r} is taken by response_format with this provider"
            )
        json_schema = self._fields["response_format"].get("json_schema") or {}
        function = build_answer_function(
            read_response_schema(self._fields) or {}, json_schema.get("description") or ""
        )
        schema = function.pop("parameters")
        return {"toolSpec": {**function, "inputSchema": {"json": schema}}}

    def _build_web_search(self) -> Json:
        if not can_search(self._model):
            raise UnsupportedField(
                "web_search_options", "only Amazon's Nova models can search the web with Bedrock"
            )
        options = self._fields["web_search_options"]
        self._translator.omitted |= {
            f"web_search_options.{name}" for name in options if options[name]
        }
        return {"systemTool": {"name": "nova_grounding"}}

    def _add_tool_choice(self) -> None:
        """`auto` is the wire's default and left out."""
        choices: dict[str, Json] = {
            "required": {"any": {}},
            "function": {"tool": {"name": self._name}},
        }
        choice = choices.get(self._mode)
        self.must_call = choice is not None
        if self._fields.get("parallel_tool_calls") is False and self._fields.get("tools"):
            if self._maker == "anthropic":
                self._forbid_parallel_calls(choice)
                return
            self._translator.omitted.add("parallel_tool_calls")
        if choice:
            self.config["toolChoice"] = choice

    def _forbid_parallel_calls(self, choice: Json | None) -> None:
        """Use Claude's own `tool_choice` in place of `toolChoice`, which cannot limit a turn to one
        call."""
        choice_type = next(iter(choice or {"auto": {}}))
        own_choice: Json = {"type": choice_type, "disable_parallel_tool_use": True}
        if choice_type == "tool":
            own_choice["name"] = self._name
        self.model_fields["tool_choice"] = own_choice

    def _forbid_calls(self) -> None:
        """No tool may be called, but the history has calls."""
        if self._maker != "anthropic":
            self.needs_text_history = True
            return
        self._mode = ""
        tools = self._build_tools()
        names = {tool["toolSpec"]["name"] for tool in tools if "toolSpec" in tool}
        missing = set(self._translator.tool_names.values()) - names
        self.config = {"tools": tools + _build_placeholder_tools(missing)}
        self.model_fields["tool_choice"] = {"type": "none"}


def read_option_tools(options: Mapping[str, Any]) -> list[Any]:
    """The tools in the caller's `provider_options`, the only way to some of Amazon's own."""
    config = options.get("toolConfig")
    tools = config.get("tools") if isinstance(config, Mapping) else None
    return tools if isinstance(tools, list) else []


def read_tool_names(tools: Collection[Any]) -> set[str]:
    """The names of the functions among tools of Converse."""
    specs = (tool.get("toolSpec") for tool in tools if isinstance(tool, Mapping))
    return {str(spec.get("name")) for spec in specs if isinstance(spec, Mapping)}


def _build_placeholder_tools(names: Collection[str]) -> list[Json]:
    """Definitions of tools that only the history names."""
    return [
        {"toolSpec": {"name": name, "inputSchema": {"json": {"type": "object"}}}}
        for name in sorted(names)
    ]


def _needs_answer_tool(fields: ChatRequest, model: str, mode: str) -> bool:
    """Whether the structured answer must be the call of a tool. If the turn must be a call of the
    client's own tools, there is no such answer."""
    return (
        read_response_schema(fields) is not None
        and build_text_format(fields, model) is None
        and mode not in ("required", "function")
    )
