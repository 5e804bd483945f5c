"""The site's URLs with a chat endpoint of the site's own: what it overrides is DRF's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.contrib.auth.models import User
from django.http import StreamingHttpResponse
from django.urls import path
from rest_framework.exceptions import APIException
from rest_framework.permissions import BasePermission, IsAuthenticated

from native_api.views import ChatCompletionsView
from tests import site_urls


class NotForInterns(BasePermission):
    message = "Interns may not chat."

    def has_permission(self, request: Any, view: Any) -> bool:
        return not request.user.groups.exists() and "x-intern" not in request.headers


class StaffChatView(ChatCompletionsView):
    permission_classes = [IsAuthenticated, NotForInterns]

    def initial(self, request: Any, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.headers["x-users"] = str(User.objects.count())
        if "x-bug" in request.headers:
            raise KeyError("a secret of the site's")

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, KeyError) and self.request.headers["x-bug"] == "known":
            exc = APIException("Something of ours is broken.")
        response = super().handle_exception(exc)
        response.headers["x-handled"] = type(exc).__name__
        return response

    async def finalize_response(
        self, request: Any, response: Any, *args: Any, **kwargs: Any
    ) -> Any:
        response = await super().finalize_response(request, response, *args, **kwargs)
        response.headers["x-team"] = "staff"
        if isinstance(response, StreamingHttpResponse) and "x-sign" in request.headers:
            stream = response.streaming_content
            response.streaming_content = (
                _signed(stream) if response.is_async else _sync_signed(stream)
            )
        return response


async def _signed(stream: Any) -> AsyncIterator[bytes]:
    async for piece in stream:
        yield piece
    yield b": signed\n\n"


def _sync_signed(stream: Any) -> Iterator[bytes]:
    yield from stream
    yield b": signed\n\n"


urlpatterns = [
    path("native/v1/chat/completions", StaffChatView.as_view()),
    *site_urls.urlpatterns,
]
