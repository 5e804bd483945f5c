"""The API whose words a response is in where no inference endpoint decides it: for wrong URLs,
requests that are refused early, and the list of models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from django.http import HttpRequest

from native_api.inbound.anthropic import MessagesFormat
from native_api.inbound.base import InboundFormat
from native_api.inbound.openai import ChatCompletions

OPENAI: Final = ChatCompletions()
ANTHROPIC: Final = MessagesFormat()

ANTHROPIC_HEADER: Final = "anthropic-version"
"""What every client of Anthropic's API sends:
https://platform.claude.com/docs/en/api/versioning (read 2026-11)."""

ANTHROPIC_ENDPOINT: Final = "messages"


def choose_format(path: str, header_names: Iterable[str]) -> InboundFormat:
    """The API that a request is meant for. `header_names` are in lower case."""
    is_anthropic = ANTHROPIC_HEADER in header_names or ANTHROPIC_ENDPOINT in path.split("/")
    return ANTHROPIC if is_anthropic else OPENAI


def format_of_request(request: HttpRequest) -> InboundFormat:
    """The same for a request of Django's."""
    return choose_format(request.path, {name.lower() for name in request.headers})


def format_of_view(view: Any) -> InboundFormat | None:
    """The API that this view answers in, if it has one for all requests."""
    return getattr(getattr(view, "cls", None), "inbound_format", None)
