"""Content negotiation: the client's Accept header against the view's renderers."""

from __future__ import annotations

from typing import Any

from rest_framework import exceptions
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.utils.mediatypes import media_type_matches


class NativeNegotiation(DefaultContentNegotiation):
    """DRF's negotiation without its `?format=`, and without parsing what most clients send."""

    def select_renderer(
        self, request: Any, renderers: Any, format_suffix: Any = None
    ) -> tuple[Any, str]:
        accept = request.META.get("HTTP_ACCEPT", "*/*")
        for renderer in renderers:
            if accept in ("*/*", renderer.media_type):
                return renderer, renderer.media_type
        for accepted in self.get_accept_list(request):
            for renderer in renderers:
                if media_type_matches(renderer.media_type, accepted):
                    return renderer, renderer.media_type
        raise exceptions.NotAcceptable(available_renderers=renderers)
