"""One class per endpoint."""

from native_api.views.base import NativeView
from native_api.views.error_responses import exception_handler
from native_api.views.errors import RootView, UnknownView, bad_request, not_found, server_error
from native_api.views.health import LiveView, ReadyView
from native_api.views.inference import ChatCompletionsView, EmbeddingsView, InferenceView
from native_api.views.messages import CountTokensView, MessagesView
from native_api.views.models import ModelListView, ModelView
from native_api.views.responses import (
    ResponseCancelView,
    ResponseInputItemsView,
    ResponseView,
)
from native_api.views.responses_create import CompactView, InputTokensView, ResponsesView
from native_api.views.usage import UsageView

__all__ = [
    "ChatCompletionsView",
    "CompactView",
    "CountTokensView",
    "EmbeddingsView",
    "InferenceView",
    "InputTokensView",
    "LiveView",
    "MessagesView",
    "ModelListView",
    "ModelView",
    "NativeView",
    "ReadyView",
    "ResponseCancelView",
    "ResponseInputItemsView",
    "ResponseView",
    "ResponsesView",
    "RootView",
    "UnknownView",
    "UsageView",
    "bad_request",
    "exception_handler",
    "not_found",
    "server_error",
]
