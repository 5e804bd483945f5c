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
        frozenset({"cohere", "ollama", "openai"}),
    ),
    Loss(
        "choices.logprobs.content.*",
        "members that only one vendor has",
        frozenset({"cohere", "ollama", "openai"}),
    ),
    Loss(
        "choices.message.audio",
        "speech is its transcript, as text",
        frozenset({"gemini", "openai", "openai_responses"}),
    ),
)

LOSSES: Final[Mapping[str, tuple[Loss, ...]]] = {"openai_responses": RESPONSES}
"""The wire that clients speak -> the losses."""


def find_losses(client_wire: str, wire: str) -> Iterable[Loss]:
    """The losses of one pair: what clients speak, and the dialect of the provider."""
    return (loss for loss in LOSSES[client_wire] if wire in loss.wires)
