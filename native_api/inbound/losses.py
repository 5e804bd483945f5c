"""What of a unified reply a client's API has no words for, for each API but Chat Completions. All
else of a reply arrives, whatever wire it came from: a test compares every recorded reply.

What a provider needs back on the next turn is not lost: it is sealed (`inbound.replayed`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

EVERY_WIRE: Final = frozenset(
    {
        "openai", "openai_responses", "anthropic", "anthropic_vertex", "anthropic_bedrock",
        "bedrock", "gemini", "cohere", "ollama",
    }
)  # fmt: skip


class Loss(NamedTuple):
    """A member of the unified reply that does not arrive, and what becomes of it.

    `member` is its path without the indexes of lists: `choices.message.audio`. `*` stands for
    members that no dialect writes, but the provider. `wires` are the dialects whose replies can
    have it.
    """

    member: str
    reason: str
    wires: frozenset[str] = EVERY_WIRE


OPENAI: Final = frozenset({"openai"})
ANTHROPIC: Final = frozenset({"anthropic", "anthropic_vertex", "anthropic_bedrock"})
SPEECH: Final = frozenset({"gemini", "openai", "openai_responses"})
IMAGES: Final = frozenset({"bedrock", "gemini", "ollama", "openai", "openai_responses"})
LOGPROBS: Final = frozenset({"cohere", "ollama", "openai"})
CUSTOM: Final = frozenset({"openai", "openai_responses"})

CUSTOM_CALL: Final = "the call is that of a function, with the text as the member `input`"
ANTHROPICS_OWN: Final = (
    "Anthropic's blocks and members of calls arrive as they are, but they say who issued them only "
    "next to signed thinking; so a request that is translated leaves them out"
)

RESPONSES: Final = (
    Loss("id", "the response has an id of its own, which is made of it"),
    Loss("system_fingerprint", "the API has no such member", OPENAI),
    Loss("metadata", "the response repeats that of the request", OPENAI),
    Loss("*", "members that only one vendor has", OPENAI),
    Loss(
        "choices.native_finish_reason",
        "`status` and `incomplete_details` say how the response ended",
    ),
    Loss("choices.*", "members that only one vendor has", OPENAI),
    Loss("choices.logprobs.refusal", "only text has log probabilities", OPENAI),
    Loss(
        "choices.logprobs.content.bytes",
        "clients require them, so they are made of the token if a provider leaves them out",
        LOGPROBS,
    ),
    Loss(
        "choices.logprobs.content.*",
        "members that only one vendor has",
        LOGPROBS,
    ),
    Loss(
        "choices.message.audio",
        "speech is its transcript, as text",
        SPEECH,
    ),
)

MESSAGES: Final = (
    Loss("id", "the message has an id of its own, which is made of it"),
    Loss("created", "a message has no time"),
    Loss("service_tier", "only `default` and `priority` have names in the API"),
    Loss("system_fingerprint", "the API has no such member", OPENAI),
    Loss("metadata", "the API has no such member", OPENAI),
    Loss("*", "members that only one vendor has"),
    Loss("choices.native_finish_reason", "`stop_reason` has only Anthropic's own words"),
    Loss("choices.logprobs", "the API has no log probabilities"),
    Loss("choices.*", "members that only one vendor has", OPENAI),
    Loss("choices.message.refusal", "it is text, and the stop reason is `refusal`"),
    Loss("choices.message.audio", "speech is its transcript, as text", SPEECH),
    Loss("choices.message.images", "a text says that there is an image, or where it is", IMAGES),
    Loss(
        "choices.message.annotations.url_citation.start_index",
        "a citation belongs to a whole text",
    ),
    Loss(
        "choices.message.annotations.url_citation.end_index",
        "a citation belongs to a whole text",
    ),
    Loss("choices.message.annotations.url_citation.*", "members that only one vendor has"),
    Loss(
        "choices.message.annotations (in a stream)",
        "a text has ended, and gets no citations any more, once a call has begun",
    ),
    Loss(
        "choices.message.tool_calls.function.arguments (no JSON object)",
        "what the model wrote is the member `_raw` of the input, or what came of it in a stream",
    ),
    Loss("choices.message.tool_calls.custom", CUSTOM_CALL, CUSTOM),
    Loss("choices.message.tool_calls.type", CUSTOM_CALL, CUSTOM),
    Loss("choices.message.provider_content", ANTHROPICS_OWN, ANTHROPIC),
    Loss("choices.message.tool_calls.extra_content", ANTHROPICS_OWN, ANTHROPIC),
)

LOSSES: Final[Mapping[str, tuple[Loss, ...]]] = {
    "openai_responses": RESPONSES,
    "anthropic": MESSAGES,
}
"""The wire that clients speak -> the losses."""


def find_losses(client_wire: str, wire: str) -> Iterable[Loss]:
    """The losses of one pair: what clients speak, and the dialect of the provider."""
    return (loss for loss in LOSSES[client_wire] if wire in loss.wires)
