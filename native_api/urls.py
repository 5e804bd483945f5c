"""The endpoints. The site includes them below a prefix of its choice, by convention native/."""

from django.urls import path, re_path

from native_api import views

__all__ = ["app_name", "urlpatterns"]

app_name = "native_api"
"""The namespace: `reverse("native_api:chat-completions")`."""

urlpatterns = [
    path("v1/chat/completions", views.ChatCompletionsView.as_view(), name="chat-completions"),
    path("v1/responses", views.ResponsesView.as_view(), name="responses"),
    path(
        "v1/responses/input_tokens",
        views.InputTokensView.as_view(),
        name="responses-input-tokens",
    ),
    path("v1/responses/compact", views.CompactView.as_view(), name="responses-compact"),
    path("v1/messages", views.MessagesView.as_view(), name="messages"),
    path(
        "v1/messages/count_tokens",
        views.CountTokensView.as_view(),
        name="messages-count-tokens",
    ),
    path("v1/embeddings", views.EmbeddingsView.as_view(), name="embeddings"),
    # Azure's: https://learn.microsoft.com/azure/ai-foundry/openai/reference (read 2026-11).
    path(
        "openai/deployments/<path:model>/chat/completions",
        views.ChatCompletionsView.as_view(),
        name="azure-chat-completions",
    ),
    path(
        "openai/deployments/<path:model>/embeddings",
        views.EmbeddingsView.as_view(),
        name="azure-embeddings",
    ),
    path("v1/models", views.ModelListView.as_view(), name="models"),
    path("v1/models/<path:model>", views.ModelView.as_view(), name="model"),
    path("v1/responses/<str:response_id>", views.ResponseView.as_view(), name="response"),
    path(
        "v1/responses/<str:response_id>/input_items",
        views.ResponseInputItemsView.as_view(),
        name="response-input-items",
    ),
    path(
        "v1/responses/<str:response_id>/cancel",
        views.ResponseCancelView.as_view(),
        name="response-cancel",
    ),
    path("v1/usage", views.UsageView.as_view(), name="usage"),
    path("health/live", views.LiveView.as_view(), name="live"),
    path("health/ready", views.ReadyView.as_view(), name="ready"),
    re_path(r"^(?:v1/?)?$", views.RootView.as_view(), name="root"),
    re_path("", views.UnknownView.as_view(), name="unknown"),
]
"""For `include("native_api.urls")`, below a prefix of the site's choice."""
