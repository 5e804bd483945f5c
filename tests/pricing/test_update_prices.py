"""`native_update_prices`: what it fetches and refuses, and how processes get the new prices."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, OperationalError
from django.utils import timezone

from native_api.models import PriceList
from native_api.pricing import lookup, updates
from tests.usage.usage_factory import make_target

pytestmark = pytest.mark.django_db


def price_list(model: str = "gpt-4o", **prices: Any) -> list[dict[str, Any]]:
    """A document as genai-prices publishes it, with one model of one vendor."""
    listed_model = {
        "id": model,
        "match": {"equals": model},
        "prices": prices or {"input_mtok": 0.1, "output_mtok": 0.3},
    }
    return [
        {
            "id": "openai",
            "name": "OpenAI",
            "api_pattern": "https://api\\.openai\\.com",
            "models": [listed_model],
        }
    ]


class ListServer(ThreadingHTTPServer):
    """Answers every request with `body`, `status` and `headers`."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/data.json"

    def serve(self, body: Any, status: int = 200, **headers: str) -> str:
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status, self.headers = status, headers
        return self.url


class Handler(BaseHTTPRequestHandler):
    server: ListServer

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        for name, value in {
            "Content-Length": str(len(self.server.body)),
            **self.server.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(self.server.body)
        except (BrokenPipeError, ConnectionResetError):
            return

    def log_message(self, *args: Any) -> None:
        return


@pytest.fixture
def lists() -> Iterator[ListServer]:
    server = ListServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def released_prices() -> Iterator[None]:
    """The process uses the prices of the release again after each test."""
    lookup.load()
    yield
    PriceList.objects.all().delete()
    lookup.refresh()


def update(url: str) -> str:
    output = StringIO()
    call_command("native_update_prices", url=url, stdout=output)
    return output.getvalue()


def price(model: str = "gpt-4o") -> Any:
    return lookup.price_of(make_target("openai", model))


def test_new_prices_are_used_after_a_refresh(lists: ListServer) -> None:
    url = lists.serve(price_list())
    assert update(url) == f"Priced models: 1, from {url}\n"
    assert price()["INPUT"] == Decimal("2.5"), "not refreshed yet"
    lookup.refresh()
    assert price() == {"INPUT": Decimal("0.1"), "OUTPUT": Decimal("0.3")}
    assert price("gpt-4o-mini") is None, "the new list replaces the old one"
    row = PriceList.objects.get()
    assert (row.source, row.data) == (url, lists.body.decode())


def test_amounts_are_read_exactly(lists: ListServer) -> None:
    text = (
        json.dumps(price_list())
        .replace("0.1", "0.123456789012345678")
        .replace("0.3", "0.30000000000000004")
    )
    update(lists.serve(text.encode()))
    lookup.refresh()
    assert price() == {
        "INPUT": Decimal("0.123456789012345678"),
        "OUTPUT": Decimal("0.30000000000000004"),
    }


def test_steps_and_conditions_are_read_from_a_list(lists: ListServer) -> None:
    tiered = {"base": 1, "tiers": [{"start": 1000, "price": 2.5}]}
    listed = price_list()
    listed[0]["models"][0]["prices"] = [
        {"prices": {"input_mtok": 9, "output_mtok": 9}},
        {
            "constraint": {"start_date": "2024-01-01"},
            "prices": {"input_mtok": tiered, "output_mtok": 3, "web_searches_kcount": 10},
        },
    ]
    update(lists.serve(listed))
    lookup.refresh()
    assert price() == {
        "INPUT": Decimal(1), "OUTPUT": Decimal(3), "WEB_SEARCH": Decimal("0.01"),
        "ABOVE": {1000: {"INPUT": Decimal("2.5")}},
    }  # fmt: skip


def test_a_process_refreshes_when_it_makes_a_call(
    lists: ListServer, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(lists.serve(price_list()))
    lookup.forget_prices()
    start, started = lookup._start_refreshing, list[Future[None]]()

    def note_start() -> Future[None]:
        started.append(start())
        return started[-1]

    async def calls() -> None:
        await lookup.ensure_ready()
        await asyncio.wrap_future(started[0])
        await lookup.ensure_ready()

    monkeypatch.setattr(lookup, "_start_refreshing", note_start)
    asyncio.run(calls())
    assert len(started) == 1, "not again within a minute"
    assert price() == {"INPUT": Decimal("0.1"), "OUTPUT": Decimal("0.3")}


def test_few_lists_are_stored_and_the_newest_is_used(lists: ListServer) -> None:
    for number in range(updates.MAX_STORED_LISTS + 2):
        update(lists.serve(price_list(input_mtok=number, output_mtok=1)))
    lookup.refresh()
    assert PriceList.objects.count() == updates.MAX_STORED_LISTS
    assert price()["INPUT"] == number


def test_a_list_that_is_stored_already_is_not_stored_again(lists: ListServer) -> None:
    for number in range(updates.MAX_STORED_LISTS):
        update(lists.serve(price_list(input_mtok=number, output_mtok=1)))
    before = list(PriceList.objects.values_list("pk", "data"))
    fetched_at = PriceList.objects.values_list("fetched_at", flat=True)[0]
    update(lists.url)
    assert list(PriceList.objects.values_list("pk", "data")) == before
    assert PriceList.objects.values_list("fetched_at", flat=True)[0] > fetched_at


class LateReplica:
    """A router that sends reading queries to a database in which nothing arrived yet."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        raise AssertionError("It must ask where it writes.")


def test_storing_a_list_asks_no_replica(lists: ListServer, settings: Any) -> None:
    settings.DATABASE_ROUTERS = [LateReplica()]
    update(lists.serve(price_list()))
    settings.DATABASE_ROUTERS = []
    assert PriceList.objects.count() == 1


def matching(**match: Any) -> list[dict[str, Any]]:
    document = price_list()
    document[0]["models"][0]["match"] = match
    return document


def nested(levels: int) -> dict[str, Any]:
    return {"or": [nested(levels - 1)]} if levels else {"equals": "gpt-4o"}


def priced_at_other_hours(price: float) -> list[dict[str, Any]]:
    """Its ordinary price applies in one hour of the day, which is over or has yet to come."""
    hour = (timezone.now().hour + 12) % 24
    constraint = {"start_time": f"{(hour + 1) % 24:02}:00:00Z", "end_time": f"{hour:02}:00:00Z"}
    document = price_list()
    document[0]["models"][0]["prices"] = [
        {"prices": {"input_mtok": price}},
        {"prices": {"input_mtok": 1}, "constraint": constraint},
    ]
    return document


def test_prices_of_some_hours(lists: ListServer) -> None:
    update(lists.serve(priced_at_other_hours(2)))
    lookup.refresh()
    assert price() == {"INPUT": Decimal(1)}


def test_what_a_message_quotes_is_printable(lists: ListServer) -> None:
    document = price_list(**{"\0\ud800": "free"})
    with pytest.raises(CommandError, match=r"the price \?\? must be a decimal number"):
        update(lists.serve(document))


@pytest.mark.parametrize(
    "served",
    [
        b"",
        b"<html>",
        b"\xff\xfe",
        {},
        [],
        [{"id": "openai"}],
        price_list(input_mtok=-1, output_mtok=1),
        price_list(input_mtok="free", output_mtok=1),
        price_list(input_mtok=1e9, output_mtok=1),
        price_list(input_mtok={"base": 1, "tiers": [{"start": 10, "price": -2}]}, output_mtok=1),
        b'[{"id": "a", "name": "a", "api_pattern": "a", "models": '
        b'[{"id": "m", "match": {"equals": "m"}, "prices": {"input_mtok": NaN}}]}]',
        [
            *price_list(),
            {
                "id": "x",
                "name": "x",
                "api_pattern": "x",
                "models": [{"id": "m", "match": {"regex": "("}, "prices": {}}],
            },
        ],
        price_list(unknown_price=1),
        pytest.param(b"[" * 100_000, id="deeply nested"),
        pytest.param(matching(**nested(10)), id="rules within rules"),
        matching(regex="^(a+)+$"),
        [{**price_list()[0], "fallback_model_providers": [{}]}],
        [{**price_list()[0], "id": ["openai"]}],
        priced_at_other_hours(1e9),
    ],
    ids=str,
)
def test_a_list_with_any_error_is_not_stored(lists: ListServer, served: Any) -> None:
    with pytest.raises(
        CommandError, match=r"cannot be used: .+[^.]\. The prices|is not UTF-8 text"
    ):
        update(lists.serve(served))
    assert not PriceList.objects.exists()


def test_the_command_says_which_price_cannot_be_used(lists: ListServer) -> None:
    with pytest.raises(CommandError, match=r"openai, model 'gpt-4o': .*input_mtok.*'free'"):
        update(lists.serve(price_list(input_mtok="free")))


def test_errors_and_redirects_are_refused(lists: ListServer) -> None:
    with pytest.raises(CommandError, match="answered 500"):
        update(lists.serve(price_list(), 500))
    with pytest.raises(CommandError, match="answered 302"):
        update(lists.serve(price_list(), 302, Location=lists.url))


def test_a_list_that_is_too_large_is_refused(lists: ListServer) -> None:
    with pytest.raises(CommandError, match="exceeds 20971520 bytes"):
        update(lists.serve(b" " * (updates.MAX_BYTES + 1)))


@pytest.mark.parametrize(
    "url",
    [
        "http://prices.example.com/data.json",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "prices.json",
        "http://[",
        "",
    ],
)
def test_only_https_and_this_machine_are_allowed(url: str) -> None:
    with pytest.raises(updates.UpdateFailed, match="begins with https"):
        updates.fetch(url)


def test_a_stored_list_that_cannot_be_read_changes_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    from django.utils import timezone

    PriceList.objects.create(fetched_at=timezone.now(), source="x", data="{}")
    lookup.refresh()
    lookup.refresh()
    assert price()["INPUT"] == Decimal("2.5")
    assert [record.message.partition(" (")[0] for record in caplog.records] == [
        "Newer prices could not be loaded"
    ], "logged once"


def test_a_list_is_read_again_if_the_database_failed(
    lists: ListServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(row: int) -> str:
        raise DatabaseError

    update(lists.serve(price_list()))
    with monkeypatch.context() as outage:
        outage.setattr(lookup, "_text_of_row", fail)
        lookup.refresh()
    assert price()["INPUT"] == Decimal("2.5")
    lookup.refresh()
    assert price()["INPUT"] == Decimal("0.1")


def test_no_lookup_waits_for_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []

    def look_up_meanwhile() -> None:
        """A query that lasts until a call has found its price, in another thread."""
        call = threading.Thread(target=lambda: found.append(price("gpt-4.1-nano")), daemon=True)
        call.start()
        call.join(10)

    lookup.forget_prices()
    monkeypatch.setattr(lookup, "_newest_row", look_up_meanwhile)
    lookup.refresh()
    assert [table["INPUT"] for table in found] == [Decimal("0.1")]


def test_without_a_network_the_command_fails_with_a_message() -> None:
    with pytest.raises(
        CommandError, match=r"cannot be reached \(.+\)\. The prices are unchanged\."
    ):
        update("http://127.0.0.1:1/data.json")


def test_a_list_can_be_deleted_but_not_changed_in_the_admin(admin_client: Any) -> None:
    PriceList.objects.create(
        fetched_at=timezone.now(), source="https://prices.example", data=json.dumps(price_list())
    )
    page = f"/admin/native_api/pricelist/{PriceList.objects.get().pk}"
    assert "https://prices.example" in admin_client.get("/admin/native_api/pricelist/").text
    assert "input_mtok" not in admin_client.get(f"{page}/change/").text
    assert (
        admin_client.post(f"{page}/change/", {"source": "https://other.example"}).status_code == 403
    )
    assert admin_client.post(f"{page}/delete/", {"post": "yes"}).status_code == 302
    assert not PriceList.objects.exists()


def test_the_executor_learns_of_a_database_that_is_gone(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An error that nobody raises would be an answer, and end an outage."""

    def fail() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(lookup._published, "refresh", fail)
    refreshing = lookup._start_refreshing()
    assert isinstance(refreshing.exception(30), OperationalError)
    asyncio.run(lookup._wait_for(refreshing))
    assert [record.getMessage() for record in caplog.records] == [
        "Newer prices could not be loaded (OperationalError). The current ones stay in use."
    ]
