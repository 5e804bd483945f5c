"""DRF renderers of the views: they say which media types a client may accept."""

from __future__ import annotations

from typing import Any

from rest_framework.renderers import BaseRenderer

from native_api.inbound.base import to_json


class JSONRenderer(BaseRenderer):
    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None
    ) -> bytes:
        return to_json(data)


class EventStreamRenderer(JSONRenderer):
    """For clients that accept only `text/event-stream`. An inbound format writes the streams;
    errors stay JSON."""

    media_type = "text/event-stream"
    format = "sse"
