"""Recorded traffic of Responses and Messages, if it is available, for clients that speak them:
bodies go on as they were written, and replies and events come back as they were sent, but for the
listed edits. `test_corpus_same_wire` is the same for Chat Completions."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.dialects.shared.issuers import MARK
from native_api.exceptions import UnsupportedField
from native_api.types import Provider, Target
from native_api.upstream.decoders import DECODERS
from tests.cases import Cases, for_each
from tests.corpus_files import find_wire, needs_corpus, select
from tests.test_corpus_same_wire import find_differences

pytestmark = needs_corpus

WIRES = ("openai_responses", "anthropic")

EDITED_WITH_THE_ACCOUNT = frozenset({"include"})
"""What is edited if the provider may keep what it is asked to keep."""
EDITED = EDITED_WITH_THE_ACCOUNT | {"store"}

REFUSED_ALWAYS = frozenset({"background", "model"})
REFUSED = REFUSED_ALWAYS | {
    "container", "conversation", "file_id", "previous_response_id", "vector_store_ids",
}  # fmt: skip
"""Members that no client may set, or not at a shared key. The model is that of a tool."""

NAMED_EDITS = {
    # The vendor's quirk is a hint less, which is reported.
    "openrouter-7514b665d938": frozenset({"prompt_cache_options"}),
    # Two calls have one id.
    "anthropic-3579cdebd158": frozenset(
        {"messages[].content[].id", "messages[].content[].tool_use_id"}
    ),
}
"""Id of a recording -> what else is edited."""


def answered(*members: str) -> Callable[[], Cases]:
    """What loads the answered recordings of these wires with these members."""
    return select(
        lambda recording: (
            find_wire(recording) in WIRES
            and recording["status"] == 200
            and recording.keys() >= set(members)
        )
    )


def build_target(recording: dict[str, Any], own_account: bool = True) -> Target:
    name = recording["provider"]
    quirks = PRESETS[name].quirks
    provider = Provider(
        name, find_wire(recording), "https://api.example/v1", quirks=quirks, own_account=own_account
    )
    return Target(provider, recording["request"]["model"])


def mark(value: Any, issuer: str) -> Any:
    """What clients send back has the mark of its issuer."""
    if isinstance(value, list):
        return [mark(item, issuer) for item in value]
    if not isinstance(value, dict):
        return value
    is_signed = value.get("type") in ("reasoning", "compaction", "thinking", "redacted_thinking")
    members = {name: mark(item, issuer) for name, item in value.items()}
    return {**members, MARK: issuer} if is_signed else members


def unmark(value: Any) -> Any:
    if isinstance(value, list):
        return [unmark(item) for item in value]
    if isinstance(value, dict):
        return {name: unmark(item) for name, item in value.items() if name != MARK}
    return value


def forward(recording: dict[str, Any], own_account: bool) -> Any:
    target = build_target(recording, own_account)
    dialect = DIALECTS[target.provider.dialect]
    conversation = {
        name: mark(recording["request"][name], dialect.issuer(target))
        for name in {"input", "messages"} & recording["request"].keys()
    }
    return dialect.forward({**recording["request"], **conversation}, target)


def check_body(recording: dict[str, Any], own_account: bool, edited: frozenset[str]) -> None:
    refused = REFUSED_ALWAYS if own_account else REFUSED
    try:
        sent = forward(recording, own_account)
    except UnsupportedField as error:
        refusal, sent = read_member(error.path), None
    if sent is None:
        assert refusal in refused
        return
    edited |= NAMED_EDITS.get(recording["id"], frozenset())
    assert set(find_differences(recording["request"], sent.body)) <= edited
    assert set(sent.omitted) <= edited


@for_each(answered())
def test_a_body_goes_on_as_it_was_written(recording: dict[str, Any]) -> None:
    check_body(recording, True, EDITED_WITH_THE_ACCOUNT)


@for_each(answered())
def test_a_shared_key_keeps_nothing(recording: dict[str, Any]) -> None:
    check_body(recording, False, EDITED)


def read_member(path: str) -> str:
    """The last name of a path."""
    return path.rpartition(".")[2].partition("[")[0]


@for_each(answered("body"))
def test_a_reply_comes_back_as_it_was_sent(recording: dict[str, Any]) -> None:
    target, body = build_target(recording), recording["body"]
    dialect, sent = DIALECTS[find_wire(recording)], deepcopy(body)
    forwarded = dialect.forward_reply(body, target)
    assert body == sent
    assert unmark(forwarded) == sent
    assert (forwarded is body) == (MARK not in str(forwarded))
    dialect.response(body, target)


@for_each(answered("raw"))
def test_events_come_back_byte_for_byte(recording: dict[str, Any]) -> None:
    target = build_target(recording)
    dialect = DIALECTS[find_wire(recording)]
    decoder = DECODERS["sse"]()
    events = [*decoder.feed(recording["raw"].encode()), *decoder.close()]
    editor = dialect.editor(target, recording["request"])
    assert editor is not None
    forwarded = [item for event in events for item in editor.feed(event)]
    forwarded += [*editor.close(), *editor.last_events]
    for event, item in zip(events, forwarded, strict=True):
        if item.data is not None:
            assert (item.type, item.data) == event
        else:
            parsed = item.read()
            assert MARK in str(parsed)
            assert unmark(parsed) == item._replace(data=event.data).read()
