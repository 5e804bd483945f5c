"""A process that records usage on command: JSON lines with commands on stdin, replies on stdout."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import threading
from typing import Any
from uuid import UUID

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from native_api.models import ApiKey  # noqa: E402
from native_api.usage import recorder  # noqa: E402
from native_api.usage.entry import UsageEntry  # noqa: E402


def reply(value: Any) -> None:
    os.write(1, json.dumps(value).encode() + b"\n")


def entry(**values: Any) -> UsageEntry:
    return UsageEntry(
        **{
            "request_id": "r",
            "endpoint": "chat/completions",
            "model": "m",
            "provider": "p",
            **values,
        }
    )


def record(count: int = 1, **values: Any) -> list[str]:
    """Record `count` entries and return their ids."""
    entries = [entry(**values) for _ in range(count)]
    for each in entries:
        recorder.record(each)
    return [each.id.hex for each in entries]


def record_at(first: str, count: int) -> list[str]:
    """Record entries with the first id and the ones after it, which may be from long ago."""
    ids = [UUID(int=UUID(first).int + number) for number in range(count)]
    for identity in ids:
        recorder.record(entry(id=identity))
    return [each.hex for each in ids]


def record_endlessly(threads: int, limit: int = 10**9) -> None:
    """Record in several threads, and write each id to stdout when its `record` has returned."""

    def run() -> None:
        for _ in range(limit):
            each = entry(metadata={"text": "x" * 200})
            recorder.record(each)
            os.write(1, b'"%b"\n' % each.id.hex.encode())

    started = [threading.Thread(target=run) for _ in range(threads)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


def prefork(children: int, count: int) -> list[str]:
    """Act as a pre-forking server.

    Record, fork while a thread records, and record in every process.
    """
    ids = record(count)
    recording = threading.Thread(target=lambda: ids.extend(record(count)))
    recording.start()
    readers = [_fork_and_record(count) for _ in range(children)]
    recording.join()
    ids += record(count)
    for process, reader in readers:
        with os.fdopen(reader) as lines:
            ids += lines.read().split()
        os.waitpid(process, 0)
    return ids


def _fork_and_record(count: int) -> tuple[int, int]:
    reader, writer = os.pipe()
    process = os.fork()
    if process:
        os.close(writer)
        return process, reader
    os.write(writer, " ".join(record(count)).encode())
    os.close(writer)
    os._exit(0)


def fork_idle_child() -> int:
    """Fork a child that does nothing and keeps its inherited files. Returns its process id."""
    process = os.fork()
    if not process:
        for descriptor in range(3):
            os.close(descriptor)
        signal.pause()
    return process


def start_and_flush(timeout: float) -> bool:
    recorder.start()
    return recorder.flush(timeout)


def make_caller() -> list[int]:
    user = get_user_model().objects.create(username="alice")
    key = ApiKey.objects.create(owner=user, name="k", prefix="nk_alice", digest="0" * 64)
    return [user.pk, key.pk]


def use_key(key_id: int, times: int) -> None:
    for _ in range(times):
        recorder.note_key_use(key_id)


ROWS = {
    "sqlite": """WITH RECURSIVE numbers(n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < %s)
        INSERT INTO native_api_usagerecord (id, {columns})
        SELECT printf('0190%%027xf', n), {values} FROM numbers""",
    "postgresql": """INSERT INTO native_api_usagerecord (id, {columns})
        SELECT ('0190' || lpad(to_hex(n), 27, '0') || 'f')::uuid, {values}
        FROM generate_series(1, %s) AS n""",
}
VALUES = {
    "request_id": "'request-' || n",
    "created_at": "'2026-11-24 12:00:00'",
    "endpoint": "'chat/completions'",
    "model": "'model-' || (n % 7)",
    "provider": "'provider-' || (n % 3)",
    "status": "CASE WHEN n % 200 = 0 THEN 'error' ELSE 'ok' END",
    "stream": "n % 50000 = 0",
    "estimated": "n < 0",
    "metadata": "'{}'",
    **dict.fromkeys(
        (
            "user_name",
            "api_key_name",
            "counted_as",
            "provider_model",
            "error_code",
            "finish_reason",
        ),
        "''",
    ),
    **dict.fromkeys(
        (
            "prompt_tokens",
            "completion_tokens",
            "total_tokens",
            "cached_tokens",
            "cache_write_tokens",
        ),
        "0",
    ),
    **dict.fromkeys(("reasoning_tokens", "latency_ms", "attempts"), "0"),
}


def fill(rows: int) -> None:
    """Let the database make many records, and make an administrator."""
    values = {
        **VALUES,
        "created_at": "TIMESTAMPTZ " + VALUES["created_at"],
        "metadata": "'{}'::jsonb",
    }
    values = values if connection.vendor == "postgresql" else VALUES
    statement = ROWS[connection.vendor].format(
        columns=", ".join(values), values=", ".join(values.values())
    )
    with connection.cursor() as cursor:
        cursor.execute(statement.replace(" % ", " %% "), [rows])
        cursor.execute("ANALYZE")
    get_user_model().objects.create_superuser("admin", "a@b.example", "admin")


def get_page(path: str) -> dict[str, Any]:
    """What the administrator gets, with the queries of usage records and their plans."""
    client = Client()
    client.force_login(get_user_model().objects.get(username="admin"))
    with CaptureQueriesContext(connection) as captured:
        response = client.get(path, headers={"host": "localhost"})
    queries = [query["sql"] for query in captured if "native_api_usagerecord" in query["sql"]]
    body = (
        response.content.decode()
        if response.status_code == 200
        else response.headers.get("location", "")
    )
    return {
        "status": response.status_code,
        "body": body,
        "queries": queries,
        "plans": [_plan(query) for query in queries],
    }


def _plan(query: str) -> str:
    explain = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{explain} {query}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())


def limit_file_size(size: int) -> None:
    """Limit the size of every file of this process, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


COMMANDS = {
    "record": record,
    "record_at": record_at,
    "record_endlessly": record_endlessly,
    "prefork": prefork,
    "fork_idle_child": fork_idle_child,
    "start_and_flush": start_and_flush,
    "flush": recorder.flush,
    "stop": recorder.stop,
    "health": recorder.health,
    "make_caller": make_caller,
    "use_key": use_key,
    "fill": fill,
    "get_page": get_page,
    "limit_file_size": limit_file_size,
}

if __name__ == "__main__":
    for line in sys.stdin:
        command, arguments = json.loads(line)
        reply(COMMANDS[command](**arguments))  # type: ignore[operator]
