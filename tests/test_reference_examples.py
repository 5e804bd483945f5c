"""The examples of docs/reference.md, and of the guides that it names, do what they say."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import re
import runpy
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory, override_settings
from django.urls import include, path
from django.utils import timezone

import native_api
from native_api import logs
from native_api.access import keys
from native_api.exceptions import BudgetExceeded, RateLimited
from native_api.models import ApiKey
from native_api.signals import usage_recorded
from native_api.types import Caller
from native_api.usage import recorder, writer
from native_api.usage.entry import UsageEntry
from scripts.reference_page import EXAMPLES, anchor
from tests.asgi_client import ask

DOCS = EXAMPLES.parent

GUIDES = {
    "extending.md#calling-models-from-python": "test_reference_examples.py::test_calling_models",
    "extending.md#your-own-views": "front/test_extending_page.py::test_the_view_of_the_page",
    "extending.md#your-own-policies": "test_reference_examples.py::test_your_own_policies",
    "extending.md#whom-a-call-is-counted-for": "front/test_caller.py::test_the_function_of_the_page",
    "extending.md#your-own-provider-presets": "front/test_plugins_page.py::test_the_preset",
    "extending.md#your-own-authentication-methods-for-providers": (
        "front/test_plugins_page.py::test_the_method_signs_what_is_sent"
    ),
    "extending.md#your-own-dialects": (
        "front/test_plugins_page.py::test_the_dialect_asks_in_its_wires_words"
    ),
    "extending.md#hooks": "front/test_call_hooks.py::test_the_hooks_of_the_page",
    "extending.md#signals": "test_reference_examples.py::test_signals",
    "testing.md#with-pytest": "test_foreign_site.py::test_a_suite_of_pytest_finds_the_fixture",
    "deployment.md#servers": "test_reference_examples.py::test_servers",
    "deployment.md#logs": "test_reference_examples.py::test_logs",
    "maintenance.md#as-a-task": "maintenance/test_tasks.py::test_the_code_of_the_page",
}
"""Section of a guide -> the test that runs its code."""

NATIVE_API: dict[str, Any] = {
    "PROVIDERS": {"echo": {"PRICE": {"INPUT": "1", "OUTPUT": "2"}}},
    "MODELS": {"fast": {"TARGETS": [{"PROVIDER": "echo", "MODEL": "any"}]}},
}
CHAT: Any = {"model": "fast", "messages": [{"role": "user", "content": "Hello there"}]}

pytestmark = pytest.mark.django_db(transaction=True)


def example(name: str) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(EXAMPLES / name)))


def section(target: str) -> str:
    """The part of a guide below this heading."""
    page, _, wanted = target.partition("#")
    parts = re.split(r"^(##+ .*)$", (DOCS / page).read_text(), flags=re.MULTILINE)
    found = [
        text
        for heading, text in zip(parts[1::2], parts[2::2], strict=True)
        if anchor(heading.lstrip("# ")) == wanted
    ]
    assert found, f"{page} has no section {wanted}"
    return found[0]


def guide(target: str, block: int = 0, **names: Any) -> SimpleNamespace:
    """The names that a block of code of a guide defines."""
    code = re.findall(r"```python\n(.*?)```", section(target), re.DOTALL)[block]
    names["__name__"] = __name__
    exec(code, names)
    return SimpleNamespace(**names)


@pytest.fixture(autouse=True)
def records(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[UsageEntry]]:
    """What is handed to the recorder, at a site with the provider `echo`."""
    handed: list[UsageEntry] = []
    monkeypatch.setattr(recorder, "record", handed.append)
    monkeypatch.setattr(recorder, "note_key_use", lambda key_id: None)
    with override_settings(NATIVE_API=NATIVE_API):
        yield handed


@pytest.fixture
def alice() -> User:
    return User.objects.create(username="alice")


@pytest.fixture
def key(alice: User) -> dict[str, str]:
    """Headers with a key of Alice's."""
    return {"authorization": f"Bearer {keys.create_key(alice, 'laptop')[1]}"}


def urlconf(*patterns: Any) -> Any:
    return override_settings(
        ROOT_URLCONF=(*patterns, path("native/", include("native_api.urls"))), ALLOWED_HOSTS=["*"]
    )


# --- examples of the page -------------------------------------------------------------------------


def test_ask(alice: User, records: list[UsageEntry]) -> None:
    assert example("ask.py").answer(CHAT, alice) == "Hello there"
    assert (records[0].user_id, records[0].model) == (alice.pk, "fast")


def test_stream(records: list[UsageEntry]) -> None:
    async def read() -> list[str]:
        return [piece async for piece in example("stream.py").pieces(CHAT, Caller())]

    pieces = asyncio.run(read())
    assert "".join(pieces) == "Hello there"
    assert records[0].stream


def test_embed(records: list[UsageEntry]) -> None:
    texts = ["what is a ship", "what is a cat"]
    found = example("embed.py").most_similar("what is a cat", texts, "echo/any", Caller())
    assert found == "what is a cat"
    assert records[0].endpoint == "embeddings"


def test_whoami(key: dict[str, str]) -> None:
    with urlconf(*example("whoami.py").urlpatterns):
        assert Client().get("/native/v1/whoami", headers=key).json() == {
            "user": "alice",
            "key": "laptop",
        }
        refused = Client().get("/native/v1/whoami")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "missing_api_key")


def test_question_api(key: dict[str, str]) -> None:
    def answer(body: Any) -> Any:
        return Client().post(
            "/native/v1/question", body, content_type="application/json", headers=key
        )

    with urlconf(*example("question_api.py").urlpatterns):
        assert answer({"question": "Hello there"}).json() == {"answer": "Hello there"}
        refused = answer({"question": 1})
        streamed = b"".join(answer({"question": "Hello there", "stream": True}).streaming_content)
    assert (refused.status_code, refused.json()) == (
        400,
        {"problem": "question: expected a string"},
    )
    events = [
        orjson.loads(line.removeprefix(b"data: "))
        for line in streamed.split(b"\n\n")
        if line.startswith(b"data: ")
    ]
    assert "".join(event.get("answer", "") for event in events) == "Hello there"
    assert events[-1] == {"done": True}


def test_policies(key: dict[str, str], alice: User) -> None:
    policies = example("policies.py")
    settings = {
        **NATIVE_API,
        "DEFAULT_THROTTLE_CLASSES": [policies.StaffIsNotCounted],
        "THROTTLE_RATES": {"caller": "1/h"},
    }
    with urlconf(path("profile", policies.ProfileView.as_view())):
        assert Client().get("/profile", headers=key).json() == {"user": "alice", "key": "laptop"}
        assert Client().get("/profile").status_code == 401
        with override_settings(NATIVE_API=settings):
            assert statuses(key) == [200, 429, 429]
            User.objects.filter(pk=alice.pk).update(is_staff=True)
            keys.cache.clear()
            assert statuses(key) == [200, 200, 200]


def statuses(headers: dict[str, str]) -> list[int]:
    return [Client().get("/native/v1/models", headers=headers).status_code for _ in range(3)]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RateLimited(headers={"retry-after": "7"}), "Please try again in 7 seconds."),
        (BudgetExceeded(), "You have used up what you may spend."),
    ],
)
def test_errors_of_limits(error: Exception, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> Any:
        raise error

    monkeypatch.setattr("native_api.gateway.complete_sync", refuse)
    assert example("errors.py").answer(CHAT, Caller()) == text


def test_errors() -> None:
    answer = example("errors.py").answer
    assert answer(CHAT, Caller()) == "Hello there"
    assert answer({**CHAT, "model": "invented"}, Caller()).endswith("(model_not_found)")


def test_spending(alice: User, records: list[UsageEntry]) -> None:
    spent = example("spending.py").spent
    hour_ago = timezone.now() - timedelta(hours=1)
    assert spent(alice, hour_ago) == Decimal()
    example("ask.py").answer(CHAT, alice)
    writer.write(records, "default", may_be_written=False)
    assert spent(alice, hour_ago) == records[0].cost > 0
    assert spent(alice, timezone.now() + timedelta(hours=1)) == Decimal()


def test_keys(alice: User) -> None:
    office = example("keys.py")
    headers = {"authorization": f"Bearer {office.welcome(alice)}"}
    row = ApiKey.objects.get(owner=alice)
    assert (row.allowed_models, row.throttle_rate, row.is_active) == (["gpt-4o*"], "60/m", True)
    assert Client().get("/native/v1/models", headers=headers).status_code == 200
    office.say_goodbye(alice)
    assert Client().get("/native/v1/models", headers=headers).status_code == 401


def test_adapted_dialect() -> None:
    from native_api.types import Provider, Target

    provider = Provider("acme", "acme", "https://acme.example/v1", options={"region": "eu"})
    request = example("adapted_dialect.py").AcmeDialect().request(CHAT, Target(provider, "large"))
    assert request.headers == {"x-acme-region": "eu"}
    assert request.body["model"] == "large"


def test_sent_body() -> None:
    chat = {
        "model": "fast",
        "max_completion_tokens": 5,
        "messages": [{"role": "developer", "content": "Be brief."}],
    }
    url, body, omitted = example("sent_body.py").sent_body(chat)
    assert url == "https://api.acme.example/v1/chat/completions"
    assert body == {
        "model": "acme-large",
        "max_tokens": 5,
        "messages": [{"role": "system", "content": "Be brief."}],
    }
    assert omitted == ()


def test_base_url() -> None:
    request = RequestFactory().get("/", headers={"host": "site.example"})
    with urlconf():
        assert example("base_url.py").base_url(request) == "http://site.example/native/v1"


def test_version() -> None:
    assert example("version.py").server_name().endswith(f" {native_api.__version__})")


def test_commands(alice: User) -> None:
    text = example("commands.py").new_key("alice")
    headers = {"authorization": f"Bearer {text}"}
    assert Client().get("/native/v1/models", headers=headers).status_code == 200


# --- examples of the guides -----------------------------------------------------------------------


def test_calling_models(alice: User, records: list[UsageEntry]) -> None:
    summary = guide("extending.md#calling-models-from-python").summary
    assert asyncio.run(summary("a long text", alice)) == "Summarise: a long text"
    assert records[0].user_name == "alice"


def test_your_own_policies(alice: User) -> None:
    header = guide("extending.md#your-own-policies").HeaderAuthentication
    with override_settings(NATIVE_API={**NATIVE_API, "DEFAULT_AUTHENTICATION_CLASSES": [header]}):
        answers = [
            Client().get("/native/v1/models", headers={"x-remote-user": name})
            for name in ("alice", "mallory")
        ]
    assert [answer.status_code for answer in answers] == [200, 401]
    assert "x-remote-user" in answers[0].headers["vary"].lower()


def test_signals(alice: User, records: list[UsageEntry]) -> None:
    counted: dict[tuple[str, ...], int] = {}

    class Meter:
        def labels(self, *labels: str) -> Any:
            return SimpleNamespace(inc=lambda tokens: counted.update({labels: tokens}))

    names = guide("extending.md#signals", meter=Meter())
    try:
        example("ask.py").answer(CHAT, alice)
        writer.write(records, "default", may_be_written=False)
    finally:
        usage_recorded.disconnect(names.export)
    assert counted == {("echo", "fast", "ok"): records[0].total_tokens}


def test_servers(key: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "tests.settings")
    application = guide("deployment.md#servers").application
    body = orjson.dumps(CHAT)
    headers = {**key, "content-type": "application/json"}
    answer = asyncio.run(ask(application, "POST", "/native/v1/chat/completions", headers, body))
    assert answer.status == 200
    assert orjson.loads(answer.body)["choices"][0]["message"]["content"] == "Hello there"


def test_logs(capsys: pytest.CaptureFixture[str]) -> None:
    settings = guide("deployment.md#logs").LOGGING
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    context = logs.request_id.set("a-request")
    try:
        logging.config.dictConfig(settings)
        logs.get_logger("native_api.request").info("Hello\n%s", "there")
    finally:
        logs.request_id.reset(context)
        root.handlers[:], root.level = handlers, level
    line = orjson.loads(capsys.readouterr().err)
    assert (line["level"], line["message"]) == ("info", "Hello\\nthere")
    assert line["request_id"] == "a-request"
