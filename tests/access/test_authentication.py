"""How a request carries a key, and what it is told when that is not accepted."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from django.test import RequestFactory
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework.views import APIView

from native_api.access.keys import create_key, revoke
from native_api.access.keys.text import generate
from native_api.authentication import ApiKeyAuthentication, unauthenticated_error
from native_api.exceptions import InvalidApiKey, NotAuthenticated

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def request(path: str = "/", **headers: str) -> Any:
    return RequestFactory().get(path, headers=headers)


def authenticate(**headers: str) -> Any:
    return ApiKeyAuthentication().authenticate(request(**headers))


class WhoView(APIView):
    """A site's own view, which knows nothing of the gateway."""

    authentication_classes = [ApiKeyAuthentication]
    permission_classes = [IsAuthenticated]

    def get(self, request: Any) -> Response:
        return Response({"user": request.user.get_username(), "key": request.auth.name})


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer {}"},
        {"authorization": "bearer   {} "},
        {"x-api-key": "{}"},
        {"api-key": " {}"},
        {"x-goog-api-key": "{}"},
        {"authorization": f"Bearer {JWT}", "x-api-key": "{}"},
        {"x-api-key": "sk-ant-1", "api-key": "{}"},
        {"authorization": "Basic YTpi", "x-api-key": "{}"},
    ],
)
def test_a_key_comes_as_a_bearer_token_or_in_a_header_of_its_own(
    alice: Any, headers: dict[str, str]
) -> None:
    key, text = create_key(alice, "k")
    sent = {name: value.format(text) for name, value in headers.items()}
    assert authenticate(**sent) == (alice, key)
    assert asyncio.run(ApiKeyAuthentication().aauthenticate(request(**sent))) == (alice, key)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": f"Bearer {JWT}"},
        {"authorization": "Basic YTpi"},
        {"x-api-key": "sk-ant-1"},
    ],
)
def test_other_credentials_are_left_to_the_next_authentication_class(
    headers: dict[str, str],
) -> None:
    assert authenticate(**headers) is None
    assert asyncio.run(ApiKeyAuthentication().aauthenticate(request(**headers))) is None


def test_a_key_in_the_query_string_is_not_read(alice: Any) -> None:
    _, text = create_key(alice, "k")
    asked = request(f"/?key={text}&api_key={text}&x-api-key={text}&authorization=Bearer%20{text}")
    assert ApiKeyAuthentication().authenticate(asked) is None
    assert type(unauthenticated_error(asked)) is NotAuthenticated


def test_a_mistyped_key_and_an_invalid_key_have_different_messages(alice: Any) -> None:
    key, text = create_key(alice, "k")
    with pytest.raises(InvalidApiKey, match="checksum does not match"):
        authenticate(authorization=f"Bearer {text[:-1]}")
    with pytest.raises(InvalidApiKey, match="unknown, revoked or expired"):
        authenticate(authorization=f"Bearer {generate()[1]}")
    revoke(key)
    with pytest.raises(InvalidApiKey, match="unknown, revoked or expired"):
        authenticate(authorization=f"Bearer {text}")


def test_the_key_of_an_inactive_owner_is_not_valid(alice: Any) -> None:
    _, text = create_key(alice, "k")
    alice.is_active = False
    alice.save()
    with pytest.raises(InvalidApiKey, match="unknown, revoked or expired"):
        authenticate(authorization=f"Bearer {text}")


def test_no_error_and_no_log_line_holds_the_key(
    alice: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for text in (generate()[1], generate()[1][:-1], generate()[1] + "x"):
            with pytest.raises(InvalidApiKey) as refused:
                authenticate(authorization=f"Bearer {text}")
            assert text[12:40] not in f"{refused.value!r} {caplog.text}"


def test_missing_and_unrecognised_credentials_have_different_errors() -> None:
    assert unauthenticated_error(request()).code == "missing_api_key"
    for headers in (
        {"authorization": f"Bearer {JWT}"},
        {"x-api-key": "sk-1"},
        {"api-key": "sk-1"},
        {"x-goog-api-key": "AIza"},
        {"authorization": "Basic YTpi"},
    ):
        error = unauthenticated_error(request(**headers))
        assert (error.code, "begin with 'nk_'" in error.message) == ("invalid_api_key", True)


@pytest.mark.parametrize("scheme", ["", "Token ", "ApiKey ", "Basic "])
def test_a_key_without_bearer_says_so(scheme: str) -> None:
    text = generate()[1]
    sent = request(authorization=f"{scheme}{text}")
    assert ApiKeyAuthentication().authenticate(sent) is None
    error = unauthenticated_error(sent)
    assert (error.code, text[5:20] in error.message) == ("invalid_api_key", False)
    assert "not the word 'Bearer' before it" in error.message


def test_bearer_without_a_key_says_so() -> None:
    """What a client sends whose variable for the key is empty."""
    error = unauthenticated_error(request(authorization="Bearer "))
    assert (error.code, "no key after 'Bearer'" in error.message) == ("invalid_api_key", True)


def test_attributes_set_on_the_user_do_not_leak_into_other_requests(alice: Any) -> None:
    _, text = create_key(alice, "k")
    first, _ = authenticate(authorization=f"Bearer {text}")
    first.noted = "by one request"
    second, _ = authenticate(authorization=f"Bearer {text}")
    assert not hasattr(second, "noted")


def test_a_sites_own_drf_view_can_use_the_class(alice: Any) -> None:
    key, text = create_key(alice, "k")
    view = WhoView.as_view()
    assert view(request(authorization=f"Bearer {text}")).data == {"user": "alice", "key": "k"}
    revoke(key)
    refused = view(request(authorization=f"Bearer {text}"))
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.data["detail"].code == "invalid_api_key"
    assert view(request()).status_code == 401


def test_an_invalid_key_is_an_error_for_drf_and_for_the_gateway(alice: Any) -> None:
    with pytest.raises(InvalidApiKey) as refused:
        authenticate(authorization=f"Bearer {generate()[1]}")
    assert isinstance(refused.value, AuthenticationFailed)
    assert (refused.value.status, refused.value.code, refused.value.status_code) == (
        401,
        "invalid_api_key",
        401,
    )
