"""Authentication by API key, as a DRF authentication class. A site can add classes of its own."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Final

from rest_framework.authentication import (
    BaseAuthentication,
    BasicAuthentication,
    SessionAuthentication,
    TokenAuthentication,
)
from rest_framework.exceptions import AuthenticationFailed, ErrorDetail

from native_api.access.keys.cache import cache
from native_api.access.keys.text import is_foreign
from native_api.exceptions import InvalidApiKey, NotAuthenticated
from native_api.models import ApiKey
from native_api.types import Caller

__all__ = ["ApiKeyAuthentication", "default_caller"]


KEY_HEADERS: Final = ("x-api-key", "api-key", "x-goog-api-key")
"""Headers whose whole value is a key: those of Anthropic's, Azure's and Google's SDKs."""


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer nk_…`, or `nk_…` as `x-api-key`, `api-key` or `x-goog-api-key`. Sets
    `request.user` to the owner, `request.auth` to the ApiKey.

    Credentials of another form (a JWT, for example) are left to the next class. List this class
    first if another one fails for every bearer token that is not its own. Keys in a query string
    are never read. A mistyped, unknown, revoked or expired key raises InvalidApiKey; a key that
    cannot be looked up raises DatabaseUnavailable.
    """

    credential_headers = ("authorization", *KEY_HEADERS)

    def authenticate(self, request: Any) -> tuple[Any, ApiKey] | None:
        text = key_from(request)
        if text is None:
            return None
        try:
            return credentials(cache.get(text))
        except InvalidApiKey as error:
            raise RefusedKey(error) from None

    async def aauthenticate(self, request: Any) -> tuple[Any, ApiKey] | None:
        """`authenticate` for the gateway's views. A cached key needs no thread."""
        text = key_from(request)
        return None if text is None else credentials(await cache.aget(text))

    def authenticate_header(self, request: Any) -> str:
        return "Bearer"


class RefusedKey(InvalidApiKey, AuthenticationFailed):
    """InvalidApiKey for a site's DRF views, which answer 401 only to DRF's own exceptions."""

    def __init__(self, error: InvalidApiKey) -> None:
        InvalidApiKey.__init__(self, error.message)
        self.detail = ErrorDetail(error.message, error.code)


def key_from(request: Any) -> str | None:
    """The text in the request that is, or was meant to be, a key of the gateway."""
    scheme, _, token = _header(request, "authorization").partition(" ")
    sent = [
        token.strip() if scheme.lower() == "bearer" else "",
        *(_header(request, name) for name in KEY_HEADERS),
    ]
    return next((text for text in sent if text and not is_foreign(text)), None)


def _header(request: Any, name: str) -> str:
    return str(request.META.get(_META_NAMES[name], "")).strip()


_META_NAMES: Final = {
    name: f"HTTP_{name.upper().replace('-', '_')}"
    for name in ApiKeyAuthentication.credential_headers
}


def credentials(key: ApiKey) -> tuple[Any, ApiKey]:
    """A copy of the owner: attributes that a site sets on `request.user` must not reach other
    requests."""
    return copy(key.owner), key


def default_caller(request: Any) -> Caller:
    """Whom a request counts for unless the setting `CALLER` decides: its user, and the key if one
    was used. A site's own function can start from it."""
    user, key = request.user, request.auth
    is_known = user is not None and user.is_authenticated
    user_id, user_name = (user.pk, user.get_username()) if is_known else (None, "")
    if not isinstance(key, ApiKey):
        return Caller(user_id, user_name)
    return Caller(user_id, user_name, key.pk, key.name, tuple(key.allowed_models))


def unauthenticated_error(request: Any) -> NotAuthenticated:
    """The error for a request that no class has authenticated: a wrong credential, or a missing
    one."""
    authorization = _header(request, "authorization")
    if not any(_header(request, name) for name in ApiKeyAuthentication.credential_headers):
        return NotAuthenticated()
    if authorization.lower() == "bearer":
        return InvalidApiKey(
            "The Authorization header has no key after 'Bearer'. "
            "Send it as 'Authorization: Bearer KEY'."
        )
    if any(not is_foreign(word) for word in authorization.split()):
        return InvalidApiKey(
            "The Authorization header has a key of this gateway, but not the word 'Bearer' before "
            "it. Send it as 'Authorization: Bearer KEY'."
        )
    return InvalidApiKey(
        "The API key is not valid. Keys of this gateway begin with 'nk_'; "
        "send one as 'Authorization: Bearer KEY'."
    )


# --- what is known before a request's body is read -----------------------------------------------

CREDENTIALS_OF_DRF: Final[Mapping[type, tuple[str, ...]]] = {
    BasicAuthentication: ("authorization",),
    TokenAuthentication: ("authorization",),
    SessionAuthentication: ("cookie",),
}


def credential_headers(authentication: type) -> tuple[str, ...] | None:
    """The lower-case names of the headers that the class reads its credentials from, as its
    attribute `credential_headers` says: a request without all of them is anonymous. None if that is
    not known, so that the class has to see the whole request.

    A subclass that overrides `authenticate` may read something else, so it has to declare its own.
    """
    for each in authentication.__mro__:
        declared = vars(each).get("credential_headers", CREDENTIALS_OF_DRF.get(each))
        if declared is not None:
            return tuple(name.lower() for name in declared)
        if "authenticate" in vars(each) or "aauthenticate" in vars(each):
            return None
    return None
