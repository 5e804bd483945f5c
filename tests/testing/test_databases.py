"""Under every test class and client of Django, the gateway sees what the test has written, and
leaves nothing behind."""

from __future__ import annotations

from io import StringIO
from typing import Any, ClassVar
from unittest import skip

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import connection
from django.test import (
    AsyncClient,
    LiveServerTestCase,
    SimpleTestCase,
    TestCase,
    TransactionTestCase,
    override_settings,
)
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from native_api import background, gateway, testing
from native_api.asgi import get_asgi_application
from native_api.background import executors
from native_api.background.test_environment import DatabaseForbidden
from native_api.exceptions import RateLimited
from native_api.hooks import Call, CallHooks, run_in_thread
from native_api.models import (
    ApiKey,
    Budget,
    DailyUsage,
    Limit,
    ModelAccess,
    Reservation,
    UsageRecord,
)
from native_api.signals import usage_recorded
from native_api.types import Caller
from tests.testing.conftest import NATIVE_API

CHATS = "/native/v1/chat/completions"
HI = testing.chat(model="fast")


def caller_of_group(request: Any) -> Caller:
    return Caller(user_name=request.user.groups.get().name)


class AddTeamAndSummary(CallHooks):
    async def before_call(self, call: Call) -> None:
        if call.body["model"] == "fast":
            call.metadata["team"] = await run_in_thread(self.team_of, call.caller)
            summary = await run_in_thread(self.summarise, call.body["messages"])
            call.body["messages"] = testing.chat(summary)["messages"]

    def team_of(self, caller: Caller) -> str:
        return Group.objects.get(user=caller.user_id).name

    def summarise(self, messages: Any) -> str:
        request: Any = {"model": "openai/small", "messages": messages}
        reply = gateway.complete_sync(request, Caller())
        return str(reply.completion["choices"][0]["message"]["content"])


async def headers_with_a_key(owner: Any = None) -> dict[str, str]:
    _, text = await sync_to_async(testing.create_key)(owner)
    return {"authorization": f"Bearer {text}"}


class SiteTests(testing.ScriptedProviderMixin):
    """What holds for tests in a transaction, and for tests that commit."""

    client_class: ClassVar[Any] = APIClient
    client: Any

    def test_a_key_that_the_test_has_created_is_found(self: Any) -> None:
        self.native_llm.reply("Found.")
        response = testing.client().post(CHATS, HI, format="json")
        assert response.status_code == 200, response.content
        assert response.json()["choices"][0]["message"]["content"] == "Found."

    def test_a_stream_is_sent(self: Any) -> None:
        response = testing.client().post(CHATS, {**HI, "stream": True}, format="json")
        assert b"(scripted " in b"".join(response.streaming_content)
        assert [record.status for record in self.native_llm.records] == ["ok"]

    def test_a_stream_that_is_not_read_is_recorded_in_this_test(self: Any) -> None:
        with testing.scripted_provider() as llm:
            llm.reply(chunks=["more than waits for a client " * 4000] * 20)
            response = testing.client().post(CHATS, {**HI, "stream": True}, format="json")
            assert response.status_code == 200
        assert [record.status for record in llm.records] == ["client_closed"]

    def test_a_stream_that_is_closed_is_recorded(self: Any) -> None:
        response = testing.client().post(CHATS, {**HI, "stream": True}, format="json")
        next(iter(response.streaming_content))
        response.close()
        assert UsageRecord.objects.get().status == "client_closed"
        assert "close_if_unusable_or_obsolete" not in vars(connection)

    def test_a_key_that_is_revoked_without_a_signal_is_refused_at_once(self: Any) -> None:
        key, text = testing.create_key()
        client = testing.client(text)
        assert client.post(CHATS, HI, format="json").status_code == 200
        ApiKey.objects.filter(pk=key.pk).update(allowed_models=["other"])
        assert client.post(CHATS, HI, format="json").status_code == 403

    def test_providers_and_routes_of_the_database_are_scripted(self: Any) -> None:
        testing.create_provider("acme", headers={"x-team": "red"})
        testing.create_provider("claude", preset="anthropic")
        testing.create_route("mine", "acme/one", "claude/two")
        self.native_llm.fail(503, provider="acme")
        client = testing.client()
        response = client.post(CHATS, testing.chat(model="mine"), format="json")
        assert response.headers["x-native-provider"] == "claude"
        first = self.native_llm.calls[0].attempts[0]
        assert (first.provider, first.headers["x-team"]) == ("acme", "red")

    def test_model_access_of_groups_holds(self: Any) -> None:
        user = testing.create_user()
        group = Group.objects.create(name="support")
        ModelAccess.objects.create(group=group, patterns=["embedder"])
        client = testing.client(user)
        assert client.post(CHATS, HI, format="json").status_code == 200
        user.groups.add(group)
        assert client.post(CHATS, HI, format="json").status_code == 403
        assert len(self.native_llm.calls) == 1

    def test_a_caller_that_drf_is_told_is_authenticated(self: Any) -> None:
        user = testing.create_user()
        client = APIClient()
        client.force_authenticate(user)
        assert client.post(CHATS, HI, format="json").status_code == 200
        assert self.native_llm.calls[0].caller.user_id == user.pk

    def test_records_are_in_the_database_at_once(self: Any) -> None:
        key, text = testing.create_key()
        testing.client(text).post(CHATS, HI, format="json")
        record = UsageRecord.objects.get()
        assert (record.api_key, record.status, record.model) == (key, "ok", "fast")
        assert DailyUsage.objects.get().requests == 1
        key.refresh_from_db()
        assert key.last_used_at is not None

    def test_signals_of_records_are_sent(self: Any) -> None:
        received: list[Any] = []

        def receive(entry: Any, **kwargs: Any) -> None:
            received.append(entry)

        usage_recorded.connect(receive)
        try:
            with TestCase.captureOnCommitCallbacks(execute=True):
                testing.client().post(CHATS, HI, format="json")
        finally:
            usage_recorded.disconnect(receive)
        assert [entry.model for entry in received] == ["fast"]

    def test_budgets_are_reserved_and_settled(self: Any) -> None:
        Limit.objects.create(subject="everyone", metric="requests", window="day", amount=2)
        client = testing.client()
        statuses = [client.post(CHATS, HI, format="json").status_code for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert (Budget.objects.get().used, Reservation.objects.count()) == (2, 0)

    def test_synchronous_classes_of_the_site_see_it_too(self: Any) -> None:
        User.objects.create(username="alice")
        policies = {
            **NATIVE_API,
            "DEFAULT_AUTHENTICATION_CLASSES": ["tests.front.test_extending_page.ByName"],
        }
        with override_settings(NATIVE_API=policies):
            response = APIClient().post(CHATS, HI, format="json", headers={"x-name": "alice"})
        assert response.status_code == 200
        assert self.native_llm.calls[0].caller.user_name == "alice"

    def test_the_function_of_the_setting_caller_sees_it_too(self: Any) -> None:
        user = testing.create_user()
        user.groups.add(Group.objects.create(name="blue"))
        with override_settings(NATIVE_API={**NATIVE_API, "CALLER": caller_of_group}):
            testing.client(user).post(CHATS, HI, format="json")
        assert self.native_llm.calls[0].caller.user_name == "blue"

    def test_hooks_see_it_too_and_may_call_models(self: Any) -> None:
        user = testing.create_user()
        user.groups.add(Group.objects.create(name="blue"))
        self.native_llm.reply("A summary.", model="openai/small")
        hooks = {**NATIVE_API, "HOOKS": [AddTeamAndSummary]}
        with override_settings(NATIVE_API=hooks), self.assertNoLogs("native_api", "WARNING"):
            response = testing.client(user).post(CHATS, HI, format="json")
        assert response.status_code == 200, response.content
        assert [call.model for call in self.native_llm.calls] == ["openai/small", "fast"]
        assert self.native_llm.calls[1].prompt == "A summary."
        assert self.native_llm.records[1].metadata == {"team": "blue"}

    def test_python_code_calls_models(self: Any) -> None:
        user = testing.create_user()
        caller = Caller(user.pk, user.get_username())
        request: Any = HI
        gateway.complete_sync(request, caller)
        assert self.native_llm.calls[0].caller == caller

    async def test_asynchronous_tests_and_clients(self: Any) -> None:
        user = await User.objects.acreate(username="alice")
        headers = await headers_with_a_key(user)
        response = await AsyncClient().post(
            CHATS, HI, content_type="application/json", headers=headers
        )
        assert response.status_code == 200, response.content
        streamed = await AsyncClient().post(
            CHATS, {**HI, "stream": True}, content_type="application/json", headers=headers
        )
        assert b"[DONE]" in b"".join([piece async for piece in streamed])
        assert [record.user_name for record in self.native_llm.records] == ["alice"] * 2

    async def test_the_application_of_the_gateway(self: Any) -> None:
        headers = await headers_with_a_key()
        asgi = httpx.ASGITransport(get_asgi_application())
        async with httpx.AsyncClient(transport=asgi, base_url="http://testserver") as http:
            response = await http.post(CHATS, json=HI, headers=headers)
        assert response.status_code == 200, response.text
        assert len(self.native_llm.calls) == 1

    async def test_asynchronous_blocks(self: Any) -> None:
        user = await User.objects.acreate(username="alice")
        async with testing.scripted_provider() as llm:
            await ModelAccess.objects.acreate(user=user, patterns=["fast"])
            request: Any = HI
            await gateway.complete(request, Caller(user.pk, "alice"))
        assert len(llm.calls) == 1
        assert self.native_llm.calls == []

    async def test_a_stream_that_an_asynchronous_block_leaves_is_recorded_in_it(self: Any) -> None:
        headers = await headers_with_a_key()
        async with testing.scripted_provider() as llm:
            llm.reply(chunks=["more than waits for a client " * 4000] * 20)
            response = await AsyncClient().post(
                CHATS,
                {**HI, "stream": True},
                content_type="application/json",
                headers=headers,
            )
            assert response.status_code == 200
        assert [record.status for record in llm.records] == ["client_closed"]

    def test_the_check_of_all_targets_is_answered(self: Any) -> None:
        call_command("native_check", stdout=StringIO())
        assert {str(call.attempts[0]) for call in self.native_llm.calls} >= {"openai/gpt-4o-mini"}

    def test_the_site_is_ready(self: Any) -> None:
        assert self.client.get("/native/health/ready").status_code == 200


@override_settings(NATIVE_API=NATIVE_API)
class InATransaction(SiteTests, TestCase):
    def test_its_queries_are_counted_and_always_the_same(self) -> None:
        client = testing.client()
        client.post(CHATS, HI, format="json")
        with CaptureQueriesContext(connection) as first:
            client.post(CHATS, HI, format="json")
        assert len(first)
        with self.assertNumQueries(len(first)):
            client.post(CHATS, HI, format="json")


@override_settings(NATIVE_API=NATIVE_API)
class WithDataOfItsClass(testing.ScriptedProviderMixin, TestCase):
    text: str

    @classmethod
    def setUpTestData(cls) -> None:
        cls.native_llm.reply("For all tests.")
        response = testing.client().post(CHATS, HI, format="json")
        cls.text = response.json()["choices"][0]["message"]["content"]

    def test_a_call_of_the_class_is_scripted(self) -> None:
        assert self.text == "For all tests."
        assert self.native_llm.calls == []

    @skip("for what is left of a skipped test")
    def test_a_skipped_test(self) -> None:
        pass


@override_settings(NATIVE_API=NATIVE_API)
class ThatCommits(SiteTests, TransactionTestCase):
    pass


@override_settings(NATIVE_API=NATIVE_API, STATIC_URL="static/")
class OnALiveServer(testing.ScriptedProviderMixin, LiveServerTestCase):
    def test_clients_reach_the_scripted_provider(self) -> None:
        _, text = testing.create_key()
        headers = {"authorization": f"Bearer {text}"}
        with httpx.Client(headers=headers, trust_env=False, timeout=60) as client:
            response = client.post(f"{self.live_server_url}{CHATS}", json=HI)
        assert response.status_code == 200, response.text
        assert len(self.native_llm.calls) == 1


@override_settings(NATIVE_API=NATIVE_API)
class WithoutADatabase(testing.ScriptedProviderMixin, SimpleTestCase):
    def test_the_gateway_uses_the_settings_alone(self) -> None:
        request: Any = HI
        gateway.complete_sync(request, Caller(user_name="a task"))
        assert len(self.native_llm.calls) == 1

    def test_limits_of_the_settings_hold(self) -> None:
        limit = {"SUBJECT": "everyone", "METRIC": "requests", "AMOUNT": 1, "WINDOW": "minute"}
        request: Any = HI
        with override_settings(NATIVE_API={**NATIVE_API, "LIMITS": [limit]}):
            gateway.complete_sync(request, Caller())
            with pytest.raises(RateLimited):
                gateway.complete_sync(request, Caller())


class TestConnections(TestCase):
    def test_they_are_lent_while_a_test_is_in_a_transaction(self) -> None:
        User.objects.create(username="alice")
        assert executors.database.lane().run_sync(1, User.objects.exists)
        assert executors.foreign.lane().run_sync(1, User.objects.exists)
        assert not connection.allow_thread_sharing

    def test_a_call_that_a_call_makes_does_not_wait_for_its_turn(self) -> None:
        lane = executors.database.lane()
        assert lane.run_sync(1, lambda: lane.submit(User.objects.count).result()) == 0


class TestForbidden(SimpleTestCase):
    def test_a_forbidden_query_is_an_error_of_the_database(self) -> None:
        with pytest.raises(DatabaseForbidden):
            executors.database.lane().run_sync(1, User.objects.count)

    def test_other_errors_pass(self) -> None:
        def fail() -> None:
            raise RuntimeError("another one")

        with pytest.raises(RuntimeError, match="another one"):
            executors.database.lane().run_sync(1, fail)


def test_a_block_in_async_code_says_how_to_write_it() -> None:
    async def enter() -> None:
        with testing.scripted_provider():
            pass

    with pytest.raises(RuntimeError, match="async with"):
        background.run(enter())
