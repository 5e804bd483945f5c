"""Recorded traffic of OpenAI's wire, if it is available, for clients that speak it: bodies go on as
they were written, and replies and events come back as they were sent, but for the edits listed in
docs/messages.md."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from native_api.catalog.presets import PRESETS
from native_api.dialects import DIALECTS
from native_api.types import Event, Provider, Target
from native_api.upstream.decoders import sse
from tests.cases import Cases, for_each
from tests.corpus_files import find_wire, needs_corpus, select

pytestmark = needs_corpus

DIALECT = DIALECTS["openai"]
NOTHING: frozenset[str] = frozenset()

REQUEST_EDITS = {
    "groq": frozenset({"n", "stream_options"}),  # one choice is Groq's only number
    "huggingface": frozenset({"tools"}),  # an empty list
    "mistral": frozenset({"messages[].tool_calls[].index"}),  # left from a stream
    "openrouter": frozenset({"max_tokens", "max_completion_tokens"}),
    "openai": frozenset({"messages[].role"}),  # o1-mini has no system messages
}
"""Vendor -> the paths of its bodies that are edited."""

REPLY_EDITS = {
    "cerebras": frozenset({"choices"}),  # `reasoning` is `reasoning_content`
    "deepseek": frozenset({"choices"}),  # calls have an `index`
    "groq": frozenset({"choices", "service_tier", "native_service_tier"}),
    "huggingface": frozenset({"usage", "choices"}),  # nulls
    "mistral": frozenset({"choices", "usage"}),
    "openrouter": frozenset({"choices", "service_tier", "native_service_tier"}),
}
"""Vendor -> the members of its replies that are edited for strict clients. OpenAI's never are."""

OWNED_EXAMPLES = frozenset({"openrouter-8a850503f407"})
"""Bodies with a member that only the gateway sets."""

UNTYPED = "mistral"
"""Its recorded tools have no `type`, which the checks of a request require."""


def answered(*members: str, provider: str = "") -> Callable[[], Cases]:
    """What loads the answered recordings of this wire with these members, of one vendor or all."""
    return select(
        lambda recording: (
            find_wire(recording) == "openai"
            and recording["status"] == 200
            and recording.keys() >= set(members)
            and provider in ("", recording["provider"])
        )
    )


def build_target(recording: dict[str, Any]) -> Target:
    name = recording["provider"]
    provider = Provider(
        name, "openai", "https://api.example/v1", quirks=PRESETS[name].quirks, own_account=True
    )
    return Target(provider, recording["request"]["model"])


def find_differences(left: Any, right: Any, path: str = "") -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for name in sorted(left.keys() | right.keys()):
            member = f"{path}.{name}".removeprefix(".")
            if name not in left or name not in right:
                yield member
            else:
                yield from find_differences(left[name], right[name], member)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for one, other in zip(left, right, strict=True):
            yield from find_differences(one, other, f"{path}[]")
    elif left != right:
        yield path


@for_each(answered())
def test_a_body_goes_on_as_it_was_written(recording: dict[str, Any]) -> None:
    body = recording["request"]
    if recording["id"] in OWNED_EXAMPLES:
        body = {name: value for name, value in body.items() if name != "usage"}
    if recording["provider"] == UNTYPED and "tools" in body:
        body["tools"] = [{"type": "function", **tool} for tool in body.get("tools", ())]
    sent = DIALECT.forward(body, build_target(recording)).body
    edited = set(find_differences(body, sent))
    allowed = REQUEST_EDITS.get(recording["provider"], NOTHING)
    assert {path.partition(".include_usage")[0] for path in edited} <= allowed


@for_each(answered("body"))
def test_a_reply_comes_back_as_it_was_sent(recording: dict[str, Any]) -> None:
    body = recording["body"]
    reply = DIALECT.response(json.loads(json.dumps(body)), build_target(recording))
    edited = {path.partition("[")[0].partition(".")[0] for path in find_differences(body, reply)}
    assert edited <= REPLY_EDITS.get(recording["provider"], NOTHING)


LATE_USAGE = frozenset({"openai-48401f08ea5c"})
"""Streams with an event after the usage, which comes last here."""


@for_each(answered("raw", provider="openai"))
def test_events_come_back_byte_for_byte(recording: dict[str, Any]) -> None:
    decoder = sse.SSEDecoder()
    datas = [event.data for event in [*decoder.feed(recording["raw"].encode()), *decoder.close()]]
    editor = DIALECT.editor(build_target(recording), recording["request"])
    assert editor is not None
    events = [item for data in datas for item in editor.feed(Event("", data))]
    events += editor.close()
    if editor.usage_event is not None:
        events.append(editor.usage_event)
    sent, expected = [event.data for event in events], [data for data in datas if data != "[DONE]"]
    if recording["id"] in LATE_USAGE:
        assert sorted(map(str, sent)) == sorted(expected)
    else:
        assert sent == expected
