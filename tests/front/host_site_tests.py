"""The own tests of a site, which knows nothing of how the gateway works: `test_host_sites` copies
this file into a site made by `startproject`."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import (
    AsyncClient,
    LiveServerTestCase,
    SimpleTestCase,
    TestCase,
    TransactionTestCase,
)
from django.urls import reverse

from native_api import gateway
from native_api.access.keys import create_key
from native_api.asgi import get_asgi_application
from native_api.models import (
    ApiKey,
    Budget,
    DailyUsage,
    Limit,
    ModelAccess,
    ModelRoute,
    Provider,
    Reservation,
    Target,
    UsageRecord,
)
from native_api.types import Caller

CHATS = "/native/v1/chat/completions"
HI = {"model": "echo/small", "messages": [{"role": "user", "content": "Hi"}]}


def headers(user=None, **fields):
    user = user or User.objects.create_user("alice")
    return {"authorization": f"Bearer {create_key(user, 'test', **fields)[1]}"}


def post(client, body, headers):
    return client.post(CHATS, json.dumps(body), content_type="application/json", headers=headers)


class Calls:
    """What holds in each of Django's test cases that have a database."""

    def setUp(self):
        assert UsageRecord.objects.count() == 0
        assert DailyUsage.objects.count() == 0
        assert Reservation.objects.count() == 0

    def call(self, sent, status=200, **fields):
        response = post(self.client, {**HI, **fields}, sent)
        assert response.status_code == status, response
        return response

    def test_a_complete_call_of_a_key_made_in_the_test(self):
        reply = self.call(headers()).json()
        assert reply["choices"][0]["message"]["content"] == "Hi"

    def test_a_stream(self):
        response = self.call(headers(), stream=True)
        assert b"[DONE]" in b"".join(response.streaming_content)
        assert UsageRecord.objects.get().status == "ok"

    def test_a_stream_that_is_not_read(self):
        self.call(headers(), stream=True)

    def test_each_call_has_its_record(self):
        sent = headers()
        for count in (1, 2, 3):
            self.call(sent)
            assert UsageRecord.objects.count() == count
        assert DailyUsage.objects.get().requests == 3
        assert ApiKey.objects.get().last_used_at is not None

    def test_budgets_are_settled(self):
        Limit.objects.create(subject="everyone", metric="requests", window="day", amount=2)
        sent = headers()
        for status in (200, 200, 429):
            self.call(sent, status)
        assert Budget.objects.get().used == 2
        assert Reservation.objects.count() == 0

    def test_a_short_limit(self):
        Limit.objects.create(subject="everyone", metric="requests", window="hour", amount=1)
        sent = headers()
        for status in (200, 429):
            self.call(sent, status)

    def test_a_short_limit_that_another_test_has_used_up(self):
        self.test_a_short_limit()

    def test_a_limit_of_the_slots(self):
        Limit.objects.create(subject="everyone", metric="concurrent_requests", amount=1)
        sent = headers()
        for _ in range(3):
            self.call(sent)

    def test_a_key_that_is_changed_in_the_database(self):
        sent = headers()
        self.call(sent)
        ApiKey.objects.update(allowed_models=["other"])
        self.call(sent, 403)

    def test_groups_and_what_they_may_use(self):
        user = User.objects.create_user("alice")
        group = Group.objects.create(name="support")
        ModelAccess.objects.create(group=group, patterns=["other"])
        sent = headers(user)
        self.call(sent)
        user.groups.add(group)
        self.call(sent, 403)

    def test_a_provider_that_the_admin_edits(self):
        Provider.objects.create(name="mine", preset="echo")
        route = ModelRoute.objects.create(name="fast")
        Target.objects.create(route=route, provider="mine", model="x")
        sent = headers()
        self.call(sent, model="fast")
        User.objects.create_superuser("root", password="root")
        self.client.login(username="root", password="root")
        page = reverse("admin:native_api_provider_changelist")
        selected = {"action": "disable", "_selected_action": [Provider.objects.get().pk]}
        self.client.post(page, selected)
        Provider.objects.update(enabled=False)
        self.call(sent, 503, model="fast")
        self.call(sent, 404, model="mine/x")

    def test_a_failure_is_recorded(self):
        self.call(headers(), 404, model="nobody")
        assert UsageRecord.objects.get().status == "refused"

    def test_usage_and_health(self):
        sent = headers()
        self.call(sent)
        usage = self.client.get("/native/v1/usage", headers=sent)
        self.assertContains(usage, "echo/small")
        assert self.client.get("/native/health/ready").status_code == 200

    def test_in_a_transaction_of_the_test(self):
        with transaction.atomic():
            self.call(headers())
            assert UsageRecord.objects.count() == 1

    def test_python_code(self):
        user = User.objects.create_user("alice")
        gateway.complete_sync(HI, Caller(user.pk, "alice"))
        assert UsageRecord.objects.get().user == user

    async def test_asynchronous_python_code(self):
        user = await User.objects.acreate(username="alice")
        await gateway.complete(HI, Caller(user.pk, "alice"))
        assert await UsageRecord.objects.acount() == 1

    async def test_the_asynchronous_client(self):
        sent = await self.async_headers()
        client = AsyncClient()
        response = await post(client, HI, sent)
        assert response.status_code == 200, response
        response = await post(client, {**HI, "stream": True}, sent)
        assert b"[DONE]" in b"".join([piece async for piece in response])
        assert await UsageRecord.objects.acount() == 2

    async def test_calls_at_once(self):
        await Limit.objects.acreate(subject="everyone", metric="requests", window="day", amount=3)
        sent = await self.async_headers()
        responses = await asyncio.gather(*(post(AsyncClient(), HI, sent) for _ in range(5)))
        statuses = sorted(response.status_code for response in responses)
        assert statuses == [200, 200, 200, 429, 429]
        assert (await Budget.objects.aget()).used == 3

    async def test_the_application_of_the_gateway(self):
        sent = await self.async_headers()
        application = httpx.ASGITransport(get_asgi_application())
        async with httpx.AsyncClient(transport=application, base_url="http://testserver") as http:
            for stream in (False, True):
                response = await http.post(CHATS, json={**HI, "stream": stream}, headers=sent)
                assert response.status_code == 200, response.text
        assert await UsageRecord.objects.acount() == 2

    async def async_headers(self):
        from asgiref.sync import sync_to_async

        return await sync_to_async(headers)()


class InATransaction(Calls, TestCase):
    def test_its_queries_are_counted_and_always_the_same(self):
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        sent = headers()
        self.call(sent)
        with CaptureQueriesContext(connection) as first:
            self.call(sent)
        assert len(first) > 0
        with self.assertNumQueries(len(first)):
            self.call(sent)


class WithDataOfItsClass(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.headers = headers()

    def test_a_call(self):
        assert post(self.client, HI, self.headers).status_code == 200
        assert UsageRecord.objects.count() == 1

    test_another_call = test_a_call


class ThatCommits(Calls, TransactionTestCase):
    pass


class OnALiveServer(LiveServerTestCase):
    def test_clients_of_the_server(self):
        sent = headers()

        def call(stream):
            url = f"{self.live_server_url}{CHATS}"
            response = httpx.post(
                url, json={**HI, "stream": stream}, headers=sent, trust_env=False, timeout=60
            )
            return response.status_code, "Hi" in response.text

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(call, [False, True] * 3)) == [(200, True)] * 6
        assert UsageRecord.objects.count() == 6


class WithoutADatabase(SimpleTestCase):
    def test_the_settings_alone(self):
        with self.assertNoLogs("native_api", "WARNING"):
            gateway.complete_sync(HI, Caller(user_name="a task"))

    def test_clients_are_refused(self):
        sent = {"authorization": "Bearer nk_x"}
        assert post(self.client, HI, sent).status_code == 401


@pytest.mark.parametrize("number", [1, 2])
def test_with_the_fixture_db(db, client, number):
    assert post(client, HI, headers()).status_code == 200
    assert UsageRecord.objects.count() == 1


@pytest.mark.parametrize("number", [1, 2])
def test_with_the_fixture_transactional_db(transactional_db, client, number):
    assert post(client, HI, headers()).status_code == 200
    assert UsageRecord.objects.count() == 1


def test_without_a_fixture():
    gateway.complete_sync(HI, Caller(user_name="a task"))
