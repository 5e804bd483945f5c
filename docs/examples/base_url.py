"""The base URL to give to an SDK."""

from django.urls import reverse


def base_url(request):
    path = reverse("native_api:chat-completions").removesuffix("/chat/completions")
    return request.build_absolute_uri(path)
