"""The secrets of providers, and how to find them in a text in any encoding."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html.entities import codepoint2name
from typing import Final

from native_api.bounded_cache import BoundedCache
from native_api.types import Provider, Secret

HIDDEN: Final = "(hidden)"
MIN_SECRET_CHARACTERS: Final = 6
"""Anything shorter is not a secret, and may be a word."""

MAX_WORD_CHARACTERS: Final = 12
"""Up to this length, a piece of a document (such as of `-----BEGIN PRIVATE KEY-----`) may appear in
a message by chance."""

PUBLIC_MEMBERS: Final = frozenset({"type", "project_id", "universe_domain"})
"""Members of a service account's key that are not secret. Neither are its URLs."""

MAX_PROVIDERS: Final = 256
MAX_TOKENS: Final = 4
"""Tokens of each provider that are remembered: the last one may still be used by a request."""

MAX_ESCAPE_CHARACTERS: Final = 12
"""The longest escape of one character, such as `&#x0001f600;`."""

NOT_IN_URLS: Final = " \t\r\n\"'<>()[]{}`,;"
"""Characters that no URL contains."""

VALUE_SEPARATORS: Final = re.compile(r"[\s,;=\"]+")
"""What separates the parts of a header such as `HMAC key="…", signature="…"`."""

SENT_TOKENS: Final = re.compile(r"Bearer (\S+)|Credential=([^/,\s]+)")

_sent_credentials: Final = BoundedCache[str, tuple[str, ...]](MAX_PROVIDERS)
"""Provider's identity -> the credentials sent last, if they are not its key."""


def remember_credentials(provider: Provider, headers: Mapping[str, str]) -> None:
    """Note what is sent instead of the provider's key: an access token, or credentials that a
    search found."""
    authorization = headers.get("authorization", "")
    tokens = [part for parts in SENT_TOKENS.findall(authorization) for part in parts if part]
    tokens += filter(None, (headers.get("x-amz-security-token"),))
    _remember(provider, tokens, MAX_TOKENS)


def remember_headers(provider: Provider, headers: Mapping[str, str]) -> None:
    """The same for headers of which nothing is known but that they are credentials: each value as a
    whole, and its parts."""
    values = {
        part
        for value in headers.values()
        for part in (value, *VALUE_SEPARATORS.split(value))
        if len(part) > MAX_WORD_CHARACTERS or part == value
    }
    _remember(provider, sorted(values), MAX_TOKENS * max(1, len(values)))


def _remember(provider: Provider, tokens: list[str], limit: int) -> None:
    """Remember at most so many tokens of the provider, the newest ones."""
    remembered = _sent_credentials.get(provider.identity, ())
    new = [token for token in tokens if token not in remembered]
    if new:
        _sent_credentials[provider.identity] = (*remembered, *map(Secret, new))[-limit:]


def secrets_for(provider: Provider) -> Iterator[str]:
    """All secrets of a provider."""
    yield from secret_parts(provider.api_key)
    for value in provider.headers.values():
        yield value
        yield value.partition(" ")[2]
    yield from _sent_credentials.get(provider.identity, ())


def secret_parts(key: str) -> Iterator[str]:
    """The parts of a key that are secret by themselves.

    AWS keys are several in one, separated by colons; a service account's key is a JSON document.
    """
    try:
        members = json.loads(key) if key.startswith("{") else None
    except ValueError:
        members = None
    if not isinstance(members, dict):
        yield from (key, *key.split(":"))
        return
    for name, value in members.items():
        if isinstance(value, str) and name not in PUBLIC_MEMBERS and "://" not in value:
            yield from (word for word in value.split() if len(word) > MAX_WORD_CHARACTERS)


def reveals(text: str, secret: str) -> bool:
    """Whether a text contains a secret or a part of it, encoded or not."""
    return hide_secrets(text, tuple(secret_parts(secret)), len(text)) != text


def hide_secrets(text: str, secrets: tuple[str, ...], max_characters: int) -> str:
    """The beginning of the text, with the secrets hidden. Reads no further than it must, however
    long the text is."""
    pattern, longest_match = _pattern(secrets)
    shown: list[str] = []
    position, left = 0, max_characters
    while left > 0 and position < len(text):
        match = pattern.search(text, position, position + left + longest_match) if pattern else None
        end = min(match.start() if match else len(text), position + left)
        shown.append(text[position:end])
        left -= end - position
        position = end
        if match is not None and match.start() == end:
            shown.append(HIDDEN)
            left -= len(HIDDEN)
            position = match.end()
    whole = "".join(shown)
    return whole if position >= len(text) else _without_last_word(whole)


def _without_last_word(text: str) -> str:
    """After a cut, the last word may be a part of a URL."""
    end = max(map(text.rfind, NOT_IN_URLS))
    return text if end < 0 else text[:end]


@lru_cache(maxsize=64)
def _pattern(secrets: tuple[str, ...]) -> tuple[re.Pattern[str] | None, int]:
    """A pattern of the secrets in every form, the longest first, and the length of its longest
    match."""
    longest_first = sorted(
        {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARACTERS},
        key=len,
        reverse=True,
    )
    forms = [form for secret in longest_first for form in _forms(secret)]
    if not forms:
        return None, 0
    longest_match = MAX_ESCAPE_CHARACTERS * len(longest_first[0])
    return re.compile("|".join(forms), re.IGNORECASE), longest_match


def _forms(secret: str) -> Iterable[str]:
    """Patterns of a secret: as it is or escaped, in hexadecimal, and in Base64 at any offset in the
    encoded text."""
    data = secret.encode("utf-8", "surrogatepass")
    yield "".join(map(_escaped, secret))
    yield data.hex()
    for offset in range(3):
        encoded = b64encode(b"\0" * offset + data).decode()
        inner = encoded[(offset * 8 + 5) // 6 : (offset + len(data)) * 8 // 6]
        yield "".join(map(_escaped, inner)).replace(re.escape("+"), "[+-]").replace("/", "[/_]")


def _escaped(character: str) -> str:
    """A pattern of one character and, unless it is a letter or digit, of its escapes."""
    if character.isascii() and character.isalnum():
        return character
    number = ord(character)
    quoted = "".join(
        f"%(?:25){{0,3}}{byte:02x}" for byte in character.encode("utf-8", "surrogatepass")
    )
    entity = codepoint2name.get(number, f"#{number}")
    return (
        rf"(?:\\{{0,4}}{re.escape(character)}|{quoted}|\\{{1,4}}u{number:04x}"
        rf"|&(?:{entity}|#0{{0,3}}{number}|#x0{{0,3}}{number:x});)"
    )
