"""The endpoints of Anthropic's Messages API."""

from __future__ import annotations

from native_api.inbound.anthropic import CountTokensFormat
from native_api.views.inference import InferenceView
from native_api.views.spoken_formats import ANTHROPIC
from native_api.views.token_counts import TokenCountView


class MessagesView(InferenceView):
    """`POST v1/messages`."""

    inbound_format = ANTHROPIC


class CountTokensView(TokenCountView):
    """`POST v1/messages/count_tokens`."""

    inbound_format = CountTokensFormat()
