"""The calls that the scripted provider got, as a test looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from native_api.types import Caller, Json


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request to a provider.

    `provider` is its name in the site's catalog, `model` the name that the model has there, and
    `endpoint` the address below the provider's base URL, such as `chat/completions`.
    """

    provider: str
    model: str
    endpoint: str
    body: Json = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(slots=True)
class Call:
    """One call of the site's code, or of a client."""

    model: str
    """The model, or the tier, that was asked for."""
    caller: Caller
    """Whom the call is counted for."""
    attempts: list[Attempt] = field(default_factory=list)
    """The requests to providers: more than one if the call was retried, or if another target was
    tried."""

    @property
    def provider(self) -> str:
        """The provider that was tried last: the one that answered, if one did."""
        return self.attempts[-1].provider

    @property
    def provider_model(self) -> str:
        """The model's name there."""
        return self.attempts[-1].model

    @property
    def endpoint(self) -> str:
        """`chat/completions` or `embeddings`."""
        return self.attempts[-1].endpoint

    @property
    def body(self) -> Json:
        """What was sent there: JSON on OpenAI's wire, whatever the provider's own wire is."""
        return self.attempts[-1].body

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the request, with those of the provider's HEADERS, without its key."""
        return self.attempts[-1].headers

    @property
    def messages(self) -> list[Any]:
        """The messages of a chat; empty for other calls."""
        return list(self.body.get("messages") or ())

    @property
    def prompt(self) -> str:
        """The text of the last message of a user; "" if there is none."""
        for message in reversed(self.messages):
            if message["role"] == "user":
                return _text(message.get("content"))
        return ""

    @property
    def stream(self) -> bool:
        """Whether a stream was asked for."""
        return bool(self.body.get("stream"))


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(part["text"] for part in content or () if part.get("type") == "text")


current_call: Final[ContextVar[Call]] = ContextVar("native_api_testing_call")
"""The call that the running code belongs to. Set when the gateway begins to serve it."""
