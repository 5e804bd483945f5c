"""Redacts what a provider says before a client reads it: no credentials, no address of the
provider, no private addresses.

Rules:
1. Secrets are the provider's key and its parts, the values of its headers, and the access tokens
   that were sent last. They are hidden wherever they stand, also encoded: percent-encoded, escaped
   for JSON or HTML, in hexadecimal, in Base64.
2. Also hidden are addresses of the provider and of private networks, and credentials in other
   addresses and after `Bearer`. Other addresses stay: they are the client's own, or lead to
   documentation.
3. Text is cut only after secrets are hidden in it, so that no cut leaves a part of one.
4. Of a 401 nothing is passed on. It is about the gateway's key, and providers repeat the ends of
   it.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from html.entities import codepoint2name
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from native_api.exceptions import MAX_PROVIDER_MESSAGE, ProviderFault
from native_api.types import Provider, Secret

HIDDEN: Final = "(hidden)"
ADDRESS: Final = re.compile(
    r"\b[a-zA-Z][a-zA-Z0-9+.-]*://(?:\[[0-9a-fA-F:.]+\])?[^\s\"'<>()\[\]{}`,;]*"  # with a scheme
    r"|\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"  # bare IPv4
)
BETWEEN_WORDS: Final = " \t\r\n\"'<>()[]{}`,;"
"""What no address contains."""

PRIVATE: Final = (".local", ".internal", ".lan", ".svc", ".localhost")
SHORTEST_SECRET: Final = 6
"""Characters. What is shorter is no secret, and may be a word."""

MOST_READ: Final = 4 * MAX_PROVIDER_MESSAGE
"""Characters of a message in which addresses are looked for; the rest is dropped."""

SECRET_PARAMETER: Final = re.compile(
    r"(?:x-(?:amz|goog)-(?:signature|credential|security-token))|(?:.*[-_])?(?:key|apikey|token|secret|password|passwd|pwd|signature|sig|auth"
    r"|authorization|credentials?|code)|apikey|accesskey|authkey",
    re.IGNORECASE,
)
"""The names of query parameters that are credentials, such as `key`, `api_key`, `access_token`,
`X-Amz-Signature`."""

PARAMETER: Final = re.compile(r"(?<=[?&#])([A-Za-z0-9_.-]+)=([^&#\s]+)")
USERINFO: Final = re.compile(r"(?<=://)[^/?#\s@]*(?:@[^/?#\s@]*)*@")
SHOWN_CREDENTIALS: Final = re.compile(
    r"(\bbearer\s+|\b(?:signature|credential)=|\bx-amz-security-token[:=]\s*)(?=[^\s,;&()\"']*\d)[^\s,;&()\"']{8,}",
    re.IGNORECASE,
)

LONGEST_WORD: Final = 12
"""Characters up to which a piece of a document (`-----BEGIN PRIVATE KEY-----` has such) may stand
in a message by chance."""

ORDINARY_MEMBERS: Final = frozenset({"type", "project_id", "universe_domain"})
"""Members of a service account's key that are not secret, as are its addresses."""


def attribute(fault: ProviderFault, provider: Provider) -> None:
    """Name the provider as the fault's cause, and make its message one for clients."""
    fault.provider = provider.name
    if fault.upstream_status == 401:
        fault.message = "The provider answered 401: it does not accept the gateway's key."
        fault.param = None
    else:
        fault.message = redact(fault.message, provider)
        fault.param = fault.param and redact(fault.param, provider)
    fault.args = (fault.message,)


def redact(text: str, provider: Provider) -> str:
    text = _without(text, tuple(secrets_of(provider)))
    here = urlsplit(provider.base_url).hostname or ""
    text = ADDRESS.sub(
        lambda found: HIDDEN if _is_private(found[0], here) else address_shown(found[0]), text
    )
    return SHOWN_CREDENTIALS.sub(rf"\1{HIDDEN}", text)[:MAX_PROVIDER_MESSAGE]


def _is_private(address: str, here: str) -> bool:
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
        return not ip_address(host).is_global
    except ValueError:
        return host == here or "." not in host or host.endswith(PRIVATE)


# --- addresses ---------------------------------------------------------------------------------------------


def address_shown(url: str) -> str:
    """An address without what is secret in it: user name, password, and tokens among its
    parameters."""
    url = (
        USERINFO.sub(f"{HIDDEN}@", url)
        if "://" in url
        else f"{HIDDEN}@{url.rpartition('@')[2]}"
        if "@" in url
        else url
    )
    return PARAMETER.sub(
        lambda found: f"{found[1]}={HIDDEN}" if SECRET_PARAMETER.fullmatch(found[1]) else found[0],
        url,
    )


def secret_in(url: str) -> str:
    """What of an address is secret, in words and without it; "" if nothing is."""
    if USERINFO.search(url):
        return "a user name or password"
    parameter = next(
        (name for name, _ in PARAMETER.findall(url) if SECRET_PARAMETER.fullmatch(name)), ""
    )
    return f"the parameter {parameter!r}" if parameter else ""


# --- secrets -----------------------------------------------------------------------------------------------

MOST_KEPT: Final = 256
LAST: Final = 4
"""Tokens of each provider that are remembered: a renewed one may still be on its way."""

_sent: dict[str, tuple[str, ...]] = {}
"""Provider's identity -> what was sent last to get in, if it is not the key itself."""

TOKENS: Final = re.compile(r"Bearer (\S+)|Credential=([^/,\s]+)")


def remember(provider: Provider, headers: Mapping[str, str]) -> None:
    """Note what is sent in the place of the provider's key: an access token, or what a search
    found."""
    found = [
        part for parts in TOKENS.findall(headers.get("authorization", "")) for part in parts if part
    ]
    found += filter(None, (headers.get("x-amz-security-token"),))
    known = _sent.get(provider.identity, ())
    new = [token for token in found if token not in known]
    if new:
        while len(_sent) >= MOST_KEPT and provider.identity not in _sent:
            del _sent[next(iter(_sent))]
        _sent[provider.identity] = (*known, *map(Secret, new))[-LAST:]


def secrets_of(provider: Provider) -> Iterator[str]:
    """What must not be shown of a provider."""
    yield from parts_of(provider.api_key)
    for value in provider.headers.values():
        yield value
        yield value.partition(" ")[2]
    yield from _sent.get(provider.identity, ())


def parts_of(key: str) -> Iterator[str]:
    """What is secret by itself in a key: AWS's keys are several in one, with colons between; a
    service account's is a document."""
    try:
        members = json.loads(key) if key.startswith("{") else None
    except ValueError:
        members = None
    if not isinstance(members, dict):
        yield from (key, *key.split(":"))
        return
    for name, value in members.items():
        if isinstance(value, str) and name not in ORDINARY_MEMBERS and "://" not in value:
            yield from (word for word in value.split() if len(word) > LONGEST_WORD)


def repeats(text: str, secret: str) -> bool:
    """Whether a text shows a secret or a part of it, encoded or not."""
    return _without(text, tuple(parts_of(secret)), len(text)) != text


def _without(text: str, secrets: tuple[str, ...], most: int = MOST_READ) -> str:
    """The beginning of the text, with the secrets hidden. Looks no further than it has to, however
    long the text is."""
    pattern, longest = _pattern(secrets)
    shown: list[str] = []
    place, room = 0, most
    while room > 0 and place < len(text):
        found = pattern.search(text, place, place + room + longest) if pattern else None
        end = min(found.start() if found else len(text), place + room)
        shown.append(text[place:end])
        room -= end - place
        place = end
        if found is not None and found.start() == end:
            shown.append(HIDDEN)
            room -= len(HIDDEN)
            place = found.end()
    whole = "".join(shown)
    return whole if place >= len(text) else _without_last_word(whole)


def _without_last_word(text: str) -> str:
    """What a cut has left of the last word may be a part of an address."""
    end = max(map(text.rfind, BETWEEN_WORDS))
    return text if end < 0 else text[:end]


@lru_cache(maxsize=64)
def _pattern(secrets: tuple[str, ...]) -> tuple[re.Pattern[str] | None, int]:
    """What finds the secrets in every form, the longest first; and the most characters that a find
    has."""
    known = sorted(
        {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}, key=len, reverse=True
    )
    forms = [form for secret in known for form in _forms(secret)]
    return (
        (re.compile("|".join(forms), re.IGNORECASE), LONGEST_ESCAPE * len(known[0]))
        if forms
        else (None, 0)
    )


LONGEST_ESCAPE: Final = 12
"""Characters that the escape of one character has at most, such as `&#x0001f600;`."""


def _forms(secret: str) -> Iterable[str]:
    """Patterns of a secret as it is or escaped, in hexadecimal, and in Base64 at any place in what
    was encoded."""
    data = secret.encode("utf-8", "surrogatepass")
    yield "".join(map(_escaped, secret))
    yield data.hex()
    for before in range(3):
        encoded = b64encode(b"\0" * before + data).decode()
        inner = encoded[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]
        yield "".join(map(_escaped, inner)).replace(re.escape("+"), "[+-]").replace("/", "[/_]")


def _escaped(character: str) -> str:
    """A pattern of one character, and of its escapes if it is no letter or digit."""
    if character.isascii() and character.isalnum():
        return character
    number = ord(character)
    quoted = "".join(
        f"%(?:25){{0,3}}{byte:02x}" for byte in character.encode("utf-8", "surrogatepass")
    )
    entity = codepoint2name.get(number, f"#{number}")
    return rf"(?:\\{{0,4}}{re.escape(character)}|{quoted}|\\{{1,4}}u{number:04x}|&(?:{entity}|#0{{0,3}}{number}|#x0{{0,3}}{number:x});)"
