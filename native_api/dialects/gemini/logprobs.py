"""Log probabilities of a reply's tokens, in OpenAI's shape
(https://ai.google.dev/api/generate-content#LogprobsResult, read 2026-11)."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Final

from native_api.types import Json

EMPTY: Final[Json] = {}


def build_logprobs(candidate: Json) -> Json | None:
    """OpenAI's `logprobs` of a candidate, or of a piece of one; None if it has none."""
    result = candidate.get("logprobsResult")
    if not isinstance(result, dict) or not result.get("chosenCandidates"):
        return None
    pairs = zip_longest(
        result["chosenCandidates"], result.get("topCandidates") or (), fillvalue=EMPTY
    )
    content = [
        {
            **_build_token(chosen),
            "top_logprobs": [_build_token(item) for item in row.get("candidates") or ()],
        }
        for chosen, row in pairs
        if chosen
    ]
    return {"content": content, "refusal": None}


def _build_token(item: Any) -> Json:
    token = str(item.get("token") or "")
    return {
        "token": token,
        "logprob": float(item.get("logProbability") or 0.0),
        "bytes": list(token.encode()),
    }
