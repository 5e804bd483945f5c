"""What of a provider's error reaches a client."""

from __future__ import annotations

import asyncio
import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from django.views.debug import ExceptionReporter

from native_api.catalog.providers import build_provider
from native_api.dialects import DIALECTS
from native_api.exceptions import MAX_PROVIDER_MESSAGE, UpstreamError
from native_api.types import Provider, Secret, Target, UpstreamRequest
from native_api.upstream import call, redaction, secrets, transport
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.auth import access_tokens, aws, methods
from native_api.upstream.prepared_request import prepare
from native_api.upstream.redaction import attribute_fault, redact
from tests.cases import each
from tests.upstream.keys import private_pem, service_account

PROVIDER = Provider(
    "up",
    "openai",
    "https://llm.example.com/v1",
    Secret("sk-abcdef123456"),
    headers={"x-team": "team-secret", "x-a": "b"},
)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("bad key sk-abcdef123456.", "bad key (hidden)."),
        ("header team-secret is wrong, b is not", "header (hidden) is wrong, b is not"),
        ("POST https://llm.example.com/v1/chat failed", "POST (hidden) failed"),
        ('upstream "http://10.0.0.7:8000/internal" is down', 'upstream "(hidden)" is down'),
        ("connect to 192.168.1.9:8000 refused", "connect to (hidden) refused"),
        ("http://vllm:8000/v1 and redis://cache.internal/0", "(hidden) and (hidden)"),
        ("http://[fd00::1]:99/x is down", "(hidden) is down"),
        (
            "cannot fetch https://pictures.example.org/a.png",
            "cannot fetch https://pictures.example.org/a.png",
        ),
        ("see https://platform.openai.com/docs", "see https://platform.openai.com/docs"),
        ("version 1.2.3 of the model", "version 1.2.3 of the model"),
        ("", ""),
    ],
)
def test_only_secrets_and_private_addresses_are_hidden(text: str, redacted: str) -> None:
    assert redact(text, PROVIDER) == redacted


def test_each_part_of_a_key_is_a_secret() -> None:
    aws = Provider(
        "aws", "openai", "https://a.example", Secret("AKIDEXAMPLE:wJalrXUtnFEMI:token-of-it")
    )
    assert (
        redact("AKIDEXAMPLE signed with wJalrXUtnFEMI and token-of-it", aws)
        == "(hidden) signed with (hidden) and (hidden)"
    )


def test_a_fault_names_the_provider_and_is_redacted() -> None:
    fault = UpstreamError("no: sk-abcdef123456", upstream_status=500)
    attribute_fault(fault, PROVIDER)
    assert (fault.provider, fault.message, str(fault)) == ("up", "no: (hidden)", "no: (hidden)")


def test_a_401_is_not_passed_on() -> None:
    fault = UpstreamError("Incorrect API key provided: sk-abc***3456.", upstream_status=401)
    attribute_fault(fault, PROVIDER)
    assert "sk-" not in fault.message
    assert "does not accept the gateway's key" in fault.message


# --- in any form, wherever a cut falls -----------------------------------------------------------

KEY = "sk-Ab/c+d=e'f<g>&\"h-0123456789/xyz~ü"
ENCODINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper": str.upper,
    "percent": lambda text: quote(text, safe=""),
    "percent-lower": lambda text: quote(text, safe="").replace("%2F", "%2f").replace("%3D", "%3d"),
    "percent-twice": lambda text: quote(quote(text, safe=""), safe=""),
    "form": quote_plus,
    "json": lambda text: json.dumps(text)[1:-1],
    "json-utf8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json-in-json": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "php-json": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "html": lambda text: html.escape(text, quote=False),
    "html-numbers": lambda text: "".join(
        character if character.isalnum() else f"&#{ord(character)};" for character in text
    ),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "base64": lambda text: b64encode(text.encode()).decode(),
    "base64-of-header": lambda text: b64encode(f"Key {text}".encode()).decode(),
    "base64-of-user": lambda text: b64encode(f"user:{text}!".encode()).decode(),
    "base64-url": lambda text: urlsafe_b64encode(f"a{text}".encode()).decode().rstrip("="),
}
WITH_KEY = Provider("up", "openai", "https://llm.example.com/v1", Secret(KEY))


def remains(message: str, encoded: str) -> bool:
    """Whether eight consecutive characters of the encoded secret are still there."""
    return any(encoded[start : start + 8] in message for start in range(len(encoded) - 7))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_key_is_hidden_in_every_form(encoding: str) -> None:
    encoded = ENCODINGS[encoding](KEY)
    message = redact(f"the request had '{encoded}' in it", WITH_KEY)
    assert "(hidden)" in message
    assert not remains(message, encoded), message
    assert message.endswith("' in it")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_no_cut_leaves_a_part_of_a_key(encoding: str) -> None:
    encoded = ENCODINGS[encoding](KEY)
    for before in range(MAX_PROVIDER_MESSAGE - len(encoded) - 2, MAX_PROVIDER_MESSAGE + 2):
        fault = UpstreamError(f"{'x' * before} {encoded} and more", upstream_status=500)
        attribute_fault(fault, WITH_KEY)
        assert len(fault.message) <= MAX_PROVIDER_MESSAGE
        assert not remains(fault.message, encoded), before


FRAMES: dict[str, Callable[[str], Any]] = {
    "error": lambda text: {"error": {"message": text, "type": "server_error"}},
    "message": lambda text: {"message": text},
    "list": lambda text: [{"error": {"message": text, "status": "INTERNAL"}}],
    "text": lambda text: {"error": text},
}


@each("frame", FRAMES)
@each("status", [400, 403, 429, 500])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_dialect_truncates_before_secrets_are_hidden(
    dialect: str, status: int, frame: str
) -> None:
    text = f"{'x' * (MAX_PROVIDER_MESSAGE - len(KEY) // 2)} {KEY} and more"
    fault = DIALECTS[dialect].error(status, {}, json.dumps(FRAMES[frame](text)).encode())
    attribute_fault(fault, WITH_KEY)
    assert len(fault.message) <= MAX_PROVIDER_MESSAGE
    assert not remains(fault.message, KEY)


@pytest.mark.parametrize("separator", [" ", ","])
def test_a_key_that_is_repeated_many_times_is_hidden_everywhere(separator: str) -> None:
    message = redact(separator.join([KEY] * 3000), WITH_KEY)
    assert not remains(message, KEY)
    assert len(message) <= MAX_PROVIDER_MESSAGE


def test_a_private_url_is_not_shown_after_a_cut() -> None:
    for before in range(redaction.MAX_READ_CHARACTERS - 40, redaction.MAX_READ_CHARACTERS):
        text = "sk-abcdef123456" * 6
        assert "10.0.0" not in redact(
            f"{text}{'y' * (before - len(text))} http://10.0.0.7:8000/internal and more words",
            PROVIDER,
        )


def test_a_long_message_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The part that is read does not grow with the message, which may have 32 MB."""
    read: list[int] = []
    pattern, longest = secrets._pattern(tuple(secrets.secrets_for(PROVIDER)))

    class Counting:
        def search(self, text: str, start: int, end: int) -> Any:
            read.append(min(end, len(text)) - start)
            return pattern.search(text, start, end)  # type: ignore[union-attr]

    monkeypatch.setattr(secrets, "_pattern", lambda secrets: (Counting(), longest))
    redact("word " * 2_000_000, PROVIDER)
    assert sum(read) <= redaction.MAX_READ_CHARACTERS + longest


def test_the_param_of_a_fault_is_redacted() -> None:
    fault = UpstreamError("no", param="headers.sk-abcdef123456", upstream_status=400)
    attribute_fault(fault, PROVIDER)
    assert fault.param == "headers.(hidden)"


def test_a_token_in_a_header_is_hidden_without_its_scheme_too() -> None:
    provider = Provider(
        "up",
        "openai",
        "https://llm.example.com/v1",
        headers={"cf-aig-authorization": "Bearer cf-token-99"},
    )
    assert redact("the token cf-token-99 has ended", provider) == "the token (hidden) has ended"


def test_no_line_of_a_service_accounts_key_is_shown() -> None:
    vertex = Provider(
        "vertex",
        "gemini",
        "https://x.example",
        Secret(service_account("https://oauth2.googleapis.com/token")),
        "google",
    )
    lines = private_pem().splitlines()
    for encoded in (
        *lines[1:-1],
        private_pem(),
        json.dumps(private_pem()),
        "gateway@a-project.iam.gserviceaccount.com",
    ):
        message = redact(f"what is {encoded}?", vertex)
        assert not any(line in message for line in lines[1:-1])
        assert "gateway@" not in message
    assert (
        redact("a private project of type service_account", vertex)
        == "a private project of type service_account"
    )


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        (
            "GET https://x.s3.amazonaws.com/a?X-Amz-Signature=abc123&b=1",
            "GET https://x.s3.amazonaws.com/a?X-Amz-Signature=(hidden)&b=1",
        ),
        (
            "https://api.example.com/v1?key=AIzaSy&alt=sse",
            "https://api.example.com/v1?key=(hidden)&alt=sse",
        ),
        (
            "https://a.example.com/?sig=abc%3D&se=2026",
            "https://a.example.com/?sig=(hidden)&se=2026",
        ),
        ("https://user:pass@a.example.com/x", "https://(hidden)@a.example.com/x"),
        (
            "sent Authorization: Bearer eyJhbGciOi.J9 to us",
            "sent Authorization: Bearer (hidden) to us",
        ),
        ("Credential=AKIDEXAMPLE1/20260101/us-east-1", "Credential=(hidden)"),
        ("Bearer authentication is required", "Bearer authentication is required"),
        ("the max_tokens=500 of key=value pairs", "the max_tokens=500 of key=value pairs"),
    ],
)
def test_other_credentials_are_hidden_by_their_context(text: str, redacted: str) -> None:
    assert redact(text, PROVIDER) == redacted


# --- what was fetched ----------------------------------------------------------------------------


def sends(auth: str, authorizer: Any, monkeypatch: pytest.MonkeyPatch, identity: str) -> Provider:
    monkeypatch.setitem(methods.AUTHORIZERS.built_in, auth, authorizer)
    provider = Provider(
        "cloud",
        "openai",
        "https://x",
        auth=auth,
        identity_hosts=frozenset({"x"}),
        identity=identity,
    )
    asyncio.run(methods.authorize(UpstreamRequest("https://x/v1", {}), "POST", b"", provider))
    return provider


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_fetched_token_is_hidden_like_a_key(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    token = "ya29.a0-fetched/token+of=42"

    async def fetched(*arguments: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {token}"}

    provider = sends("google", fetched, monkeypatch, f"fetched@{encoding}")
    encoded = ENCODINGS[encoding](token)
    assert not remains(redact(f"no: {encoded}", provider), encoded)


def test_credentials_found_for_aws_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    async def signed(*arguments: Any) -> dict[str, str]:
        return aws._sign(
            "https://x/v1",
            "POST",
            b"",
            aws._parse_key(Secret("AKIDFOUND1234:secret-part:session-token-77")),
            "us-east-1",
        )

    provider = sends("aws", signed, monkeypatch, "found")
    assert redact("AKIDFOUND1234 with session-token-77", provider) == "(hidden) with (hidden)"


def test_the_number_of_remembered_tokens_is_bounded() -> None:
    for number in range(secrets.MAX_PROVIDERS + 10):
        provider = Provider("p", "openai", "https://x", identity=f"many@{number}")
        for token in range(secrets.MAX_TOKENS + 3):
            secrets.remember_credentials(provider, {"authorization": f"Bearer token-{token}"})
    assert len(secrets._sent_credentials) <= secrets.MAX_PROVIDERS
    assert all(len(sent) <= secrets.MAX_TOKENS for sent in secrets._sent_credentials.values())
    assert "token-" not in repr(secrets._sent_credentials.items())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_secrets_in_a_token_services_error_are_not_logged(encoding: str) -> None:
    redacted = access_tokens.describe_error(
        ValueError(f"bad secret {ENCODINGS[encoding](KEY)}"), KEY
    )
    assert redacted == "ValueError"
    assert (
        access_tokens.describe_error(ValueError("no\nsuch client"), KEY)
        == "ValueError: no such client"
    )


# --- error reports -------------------------------------------------------------------------------


IN_FRAMES = "-".join(("sk", "of", "a", "failed", "call", "1"))
"""Put together, since reports show lines of the code too."""


def with_keys_in_frames(auth: str, address: str) -> Provider:
    definition = {
        "BASE_URL": address,
        "API_KEY": IN_FRAMES,
        "AUTH": auth,
        "HEADERS": {"x-second": f"{IN_FRAMES}2"},
    }
    return build_provider("up", {"DIALECT": "openai", **definition})


@pytest.mark.parametrize("auth", ["bearer", "x-api-key", "aws"])
@pytest.mark.parametrize("address", ["http://127.0.0.1:9/v1", "gopher://127.0.0.1/v1"])
def test_a_report_of_a_failed_call_shows_no_key_in_any_frame(auth: str, address: str) -> None:
    """As DEBUG shows it, and error trackers: the variables of every frame, causes included."""
    provider = with_keys_in_frames(auth, address)
    chat: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}

    async def send() -> None:
        try:
            await call.complete(prepare(chat, Target(provider, "m")), AttemptLog())
        finally:
            await transport.aclose()

    with pytest.raises(UpstreamError) as caught:
        asyncio.run(send())
    report = ExceptionReporter(None, caught.type, caught.value, caught.tb)
    assert "authorize" in report.get_traceback_html() or "transport" in report.get_traceback_html()
    assert IN_FRAMES not in report.get_traceback_html() + report.get_traceback_text()
