"""The base classes of every dialect. Rules:

1. A dialect is pure: no I/O, no Django, no clock, no randomness. One instance serves all requests
   at once, so it holds no state.
2. Every unified field is in exactly one of `renamed_fields`, `translated_fields`, `omitted_fields`
   and `refused_fields`: `declaration.find_errors` checks this and what else a dialect declares.
3. Nothing is dropped or clamped silently: a hint that the wire cannot express is reported in
   `omitted`, anything else raises `UnsupportedField`.
4. Nothing that came with the request, or that is cached between requests, is changed: options are
   merged into a copy.
5. What the gateway owns in a body (`owned_members`) comes from the unified request alone. A body
   that names something a provider stores (`body_inspection`) is refused unless the provider has
   OWN_ACCOUNT.
6. Unknown events, fields and finish reasons from a provider are never fatal.
7. The folded stream equals the complete reply.
8. A provider's answer becomes a reply or an UpstreamError, never another exception: `response`,
   `feed` and `close` are guarded here, for every dialect.
9. What a provider signed, encrypted or stored is marked with its issuer, and goes back to no other
   (`shared.issuers`). Ids of tool calls are such as the wire takes (`shared.call_ids`). The gateway
   fills in the ids of calls that have none ("").
10. If the client speaks the same wire, `forward` and `editor` pass on what it wrote and what the
    provider sent, except for what the gateway owns, the provider's quirks, and what the model
    refuses.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Final, Literal

from native_api.dialects.guards import guard_dialect
from native_api.dialects.shared import body_inspection, field_members, unknown_members
from native_api.dialects.shared.call_ids import ANY_ID, CallIdRule
from native_api.dialects.shared.earlier_turns import prepare_messages
from native_api.dialects.shared.gateway_owned import OwnedMembers
from native_api.dialects.shared.json_values import encode
from native_api.dialects.shared.model_rules import find_rule
from native_api.dialects.shared.provider_options import (
    find_provider_options,
    merge_options_and_tools,
)
from native_api.dialects.shared.reasoning_request import unify_reasoning
from native_api.dialects.shared.refusals import explain_refusal
from native_api.dialects.shared.request_fields import (
    disable_storing,
    is_default,
    is_hint,
    is_model_default,
    leave_out_needless_effort,
    unify_sampling,
)
from native_api.dialects.shared.token_counts import require_count
from native_api.dialects.shared.tool_rules import (
    NO_RULES,
    TOOL_RULES,
    ToolRules,
    apply_tool_rules,
)
from native_api.dialects.streams import StreamEditor, StreamParser
from native_api.exceptions import InvalidRequest, UnsupportedField, UpstreamError
from native_api.types import (
    ChatCompletion,
    ChatRequest,
    EmbeddingsReply,
    EmbeddingsRequest,
    Json,
    Target,
    UpstreamRequest,
)
from native_api.types.chat import EXTENSION_FIELDS, ROUTING_FIELDS, UNIFIED_FIELDS

Framing = Literal["sse", "ndjson", "eventstream"]

BODY_BUILDERS: Final = frozenset({"request", "build_body"})
"""The methods that a subclass overrides to send another body."""


class Dialect(ABC):
    """How the gateway speaks one wire. One instance serves all requests, and holds no state."""

    name: ClassVar[str]
    """The name that providers give as DIALECT."""
    wire: ClassVar[str] = ""
    """The wire's name if clients may speak it too (`InboundFormat.wire`): then the dialect has
    `forward` and `editor`."""
    framing: ClassVar[Framing] = "sse"
    """How streams are framed: `sse`, `ndjson`, or `eventstream`, which is Amazon's."""
    native_format: ClassVar[str] = ""
    """The `format` of this wire's own blocks and reasoning, if it is not `name`."""

    renamed_fields: ClassVar[Mapping[str, str]]
    """Unified field -> body field; the value is copied as it is."""
    translated_fields: ClassVar[frozenset[str]]
    """Unified fields that `build_body` translates."""
    omitted_fields: ClassVar[frozenset[str]] = frozenset()
    """Unified fields this wire cannot express, whose loss does not change the answer's meaning:
    left out and reported."""
    refused_fields: ClassVar[frozenset[str]] = frozenset()
    """Unified fields this wire cannot express, whose loss would change the answer's meaning: the
    target is unsuitable."""

    keeps_unknown_members: ClassVar[bool] = False
    """Whether members of the request's objects that the unified request does not have are this
    wire's own words. Otherwise they are left out and reported before `build_body`."""
    expressed_members: ClassVar[frozenset[str]] = frozenset()
    """Of them those that `build_body` translates, by their names in the report."""

    reasoning_members: ClassVar[frozenset[str]] = frozenset()
    """The members of the unified field `reasoning` that `build_body` translates: `max_tokens`,
    `summary`. Its effort is in `reasoning_effort`."""

    owned_members: ClassVar[OwnedMembers]
    """The members of a body that `provider_options` cannot set."""

    count_member: ClassVar[str] = ""
    """The member of the answer to `count_tokens_request` with the number, on wires that count."""

    remote_files: ClassVar[frozenset[str]] = frozenset()
    """Part types (`image_url`, `file`) whose http(s) URL the provider fetches itself; others must
    be inline."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        guard_dialect(cls)

    def request(self, chat: ChatRequest, target: Target) -> UpstreamRequest:
        """The upstream request for this chat at this target. Raises InvalidRequest."""
        self.check_provider_content(chat)
        omitted: list[str] = []
        if not self.keeps_unknown_members:
            chat, omitted = field_members.strip_unknown(chat)
            chat = unknown_members.leave_out(chat, self.expressed_members, omitted)
        chat = prepare_messages(self, chat, target, omitted)
        chat = disable_storing(chat, target, omitted)
        if not chat.keys().isdisjoint(EXTENSION_FIELDS):
            chat = self.unify_extensions(chat, target, omitted)
        chat = leave_out_needless_effort(chat, target)
        chat = apply_tool_rules(chat, self.tool_rules(target), omitted)
        options = self.read_options(chat, target)
        unsupported = self.unsupported_fields(chat, target)
        body = self.rename_fields(chat, unsupported, omitted)
        self.add_unknown_fields(chat, target, body, omitted)
        supported: Any = (
            {name: value for name, value in chat.items() if name not in unsupported}
            if unsupported
            else chat
        )
        try:
            self.build_body(supported, target, body, omitted)
        except RecursionError:
            raise InvalidRequest("The request is nested too deeply.") from None
        return self.finish_request(body, options, chat, target, omitted)

    def finish_request(
        self, body: Json, options: Json, chat: Any, target: Target, omitted: list[str]
    ) -> UpstreamRequest:
        """The request with this body, which the caller's options for the target complete. `chat` is
        what the body was made of."""
        try:
            self.add_options(body, options, chat, target)
            omitted += self.drop_refused(body, target)
        except RecursionError:
            raise InvalidRequest("The request is nested too deeply.") from None
        headers = {**self.headers(chat, target), **self.pop_headers(body)}
        content = encode(body)
        if not target.provider.own_account:
            body_inspection.refuse_provider_state(body, content, chat)
        return UpstreamRequest(
            self.url(chat, target), body, headers, tuple(dict.fromkeys(omitted)), content
        )

    def forwarder(self, wire: str, target: Target) -> Dialect | None:
        """The dialect that passes on what clients of this wire wrote to this target; None if their
        requests have to be translated.

        A subclass that changes how bodies are built, but not how clients' own are edited, has them
        translated: else its changes would not hold for them.
        """
        is_own = bool(wire) and wire == self.wire
        return self if is_own and _edits_client_bodies(type(self)) else None

    def forward(self, body: Json, target: Target) -> UpstreamRequest:
        """The upstream request for a client's body on this wire. Raises InvalidRequest."""
        chat: Any = body  # The options have the same name on every wire.
        options = self.read_options(chat, target)
        omitted: list[str] = []
        edited = self.edit_client_body(body, target, omitted)
        return self.finish_request(edited, options, chat, target, omitted)

    def edit_client_body(self, body: Json, target: Target, omitted: list[str]) -> Json:
        """A client's body on this wire as the target takes it, without the caller's options.

        Adds to `omitted` what is left out, in the client's words. Raises InvalidRequest.
        """
        raise NotImplementedError(f"{self.name} is not a wire of clients")

    def forward_reply(self, body: Json, target: Target) -> Json | None:
        """The provider's complete reply as a client of this wire gets it, with the marks of its
        issuer. None if it gets the unified reply."""
        return None

    def unify_extensions(
        self, chat: ChatRequest, target: Target, omitted: list[str]
    ) -> ChatRequest:
        """The chat with `reasoning_effort` for what other APIs call the reasoning.

        Of `reasoning` the members stay that are in `reasoning_members`.
        """
        return unify_reasoning(unify_sampling(chat), self.reasoning_members, omitted)

    def issuer(self, target: Target) -> str:
        """Who issues what replies of this target contain: the name that marks it.

        The provider, and the model's maker if its name begins with one, as at OpenRouter. A longer
        path may contain the site's account, and clients see the mark.
        """
        maker, _, model = target.model.partition("/")
        has_maker = bool(model) and "/" not in model
        return f"{target.provider.name}/{maker}" if has_maker else target.provider.name

    def has_search(self, target: Target) -> bool:
        """Whether this target takes `web_search_options`."""
        unsupported = target.provider.quirks.unsupported | self.refused_fields
        return "web_search_options" not in unsupported

    def call_id_rule(self, target: Target) -> CallIdRule:
        """Which ids of tool calls this target takes."""
        return ANY_ID

    def rename_fields(
        self, chat: ChatRequest, unsupported: frozenset[str], omitted: list[str]
    ) -> Json:
        """A body of the renamed fields. Refuses or omits what the target does not take."""
        body: Json = {}
        for name, value in chat.items():
            if name in ROUTING_FIELDS or value is None:
                continue
            if name in self.refused_fields or (
                name in unsupported and name not in self.omitted_fields and not is_hint(name)
            ):
                self.refuse_field(name, value)
            elif name in self.omitted_fields or name in unsupported:
                if not is_model_default(name, value):
                    omitted.append(name)
            elif name in self.renamed_fields:
                body[self.renamed_fields[name]] = value
        return body

    def add_unknown_fields(
        self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]
    ) -> None:
        """Report the fields that the unified request does not have: they are another wire's."""
        omitted += [
            name for name, value in chat.items() if name not in UNIFIED_FIELDS and value is not None
        ]

    def read_options(self, chat: ChatRequest, target: Target) -> Json:
        """The caller's `provider_options` for this target.

        Raises UnsupportedField if one sets a member that the gateway owns.
        """
        name, options = find_provider_options(chat, target)
        self.owned_members.check_options(
            options, f"provider_options.{name}", target.provider.own_account
        )
        return options

    def unsupported_fields(self, chat: ChatRequest, target: Target) -> frozenset[str]:
        """Fields that this target refuses although its wire has them: its vendor's, and its
        model's."""
        refused = find_rule(target).refused_fields(self.planned_effort(chat, target))
        unsupported = target.provider.quirks.unsupported
        return unsupported | refused if refused else unsupported

    def planned_effort(self, chat: ChatRequest, target: Target) -> str | None:
        """The `reasoning_effort` that the model will see; None for its default."""
        return chat.get("reasoning_effort")

    def tool_rules(self, target: Target) -> ToolRules:
        """What this target refuses in tools: their names and their schemas."""
        return TOOL_RULES.get(self.native_format or self.name, NO_RULES)

    def refuse_field(self, name: str, value: Any) -> None:
        """Raise UnsupportedField, unless the value is the default (`n: 1`, `tools: []`)."""
        if not is_default(name, value):
            raise UnsupportedField(name, explain_refusal(name, value))

    def check_provider_content(self, chat: ChatRequest) -> None:
        """Raise UnsupportedField for another wire's blocks in messages that the client wrote.

        Those in a model's own message are left out instead: they only repeat its reply.
        """
        for index, message in enumerate(chat["messages"]):
            if message.get("provider_content") and message["role"] != "assistant":
                for item in message["provider_content"]:
                    if item.get("format") != (self.native_format or self.name):
                        raise UnsupportedField(
                            f"messages[{index}].provider_content",
                            "these blocks are for another kind of provider",
                        )

    def add_options(
        self, body: Json, options: Mapping[str, Any], chat: ChatRequest, target: Target
    ) -> None:
        """Merge the caller's `provider_options` for this target into the body. Lists of tools are
        appended to the body's."""
        merge_options_and_tools(body, options)

    def drop_refused(self, body: Json, target: Target) -> list[str]:
        """Remove from the finished body, options included, what the target does not take. Returns
        the names."""
        return []

    @abstractmethod
    def build_body(self, chat: ChatRequest, target: Target, body: Json, omitted: list[str]) -> None:
        """Add all `translated_fields` to `body`, and to `omitted` the paths that are left out."""

    @abstractmethod
    def url(self, chat: ChatRequest, target: Target) -> str:
        """The URL that the request is sent to."""

    def headers(self, chat: ChatRequest, target: Target) -> dict[str, str]:
        """The wire's own headers. The provider's and the credentials are added later."""
        return {}

    def pop_headers(self, body: Json) -> dict[str, str]:
        """Remove the members of the finished body that the wire sends as headers."""
        return {}

    @abstractmethod
    def response(self, body: Json, target: Target) -> ChatCompletion:
        """The unified reply. Raises UpstreamError if the body is an error or not a reply."""

    def embeddings_request(self, request: EmbeddingsRequest, target: Target) -> UpstreamRequest:
        """The upstream request for embeddings, on wires that have them. Raises InvalidRequest."""
        raise UnsupportedField("model", "this provider has no embeddings")

    def embeddings_reply(self, body: Json, target: Target) -> EmbeddingsReply:
        """The unified reply. Raises UpstreamError if the body is an error or not a reply."""
        raise UpstreamError("The provider has no embeddings.")

    def count_tokens_request(
        self, request: UpstreamRequest, target: Target
    ) -> UpstreamRequest | None:
        """What lets the provider count the input tokens of a request that `request` or `forward`
        has built. None if the wire has nothing for that."""
        return None

    def count_tokens_reply(self, body: Json) -> int:
        """The number of tokens. Raises UpstreamError if the body is not a count."""
        return require_count(body, self.count_member)

    def unfinished_state(self, body: Any) -> str:
        """The state of a reply that the provider has not written yet, "" for any other reply.

        Nobody would count such a reply's tokens, so it is not accepted.
        """
        return ""

    @abstractmethod
    def stream(self, target: Target) -> StreamParser:
        """A new parser for one reply."""

    def editor(self, target: Target, body: Json) -> StreamEditor | None:
        """An editor for one reply to a client's body on this wire.

        None if its events can only be translated.
        """
        return None

    @abstractmethod
    def error(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
        """The error of a non-2xx answer. Names in `headers` are lower-case."""


@cache
def _edits_client_bodies(dialect: type[Dialect]) -> bool:
    """Whether the class that says last how bodies are built also edits those of clients."""
    if dialect.forward is not Dialect.forward:
        return True
    for each in dialect.__mro__:
        if "edit_client_body" in vars(each):
            return each is not Dialect
        if not BODY_BUILDERS.isdisjoint(vars(each)):
            return False
    return False
