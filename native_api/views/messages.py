"""The endpoints of Anthropic's Messages API."""

from __future__ import annotations

from native_api.views.inference import InferenceView
from native_api.views.spoken_formats import ANTHROPIC


class MessagesView(InferenceView):
    """`POST v1/messages`."""

    inbound_format = ANTHROPIC
