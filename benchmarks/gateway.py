"""Shows what the gateway costs: requests and streams a second on one core, and the latency it adds.

    python -m benchmarks.gateway [--seconds 5]

Everything is on: key, throttle, checks, usage written to the database. In the same run, for
comparison: the mock provider called directly, and a Django view that does nothing, without
middleware and behind what sites usually have. Servers have one processor to themselves where the
machine has two. On a machine that does other work too, look at the ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.fork_server import ForkedProcess
from tests.servers import ROOT, Site, free_port, make_template, running_site, until

CHAT = {
    "model": "mock",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello, how are you?"},
    ],
}
MEGABYTE = {"model": "mock", "messages": [{"role": "user", "content": "x" * 970}] * 1000}
LIMITS = {
    "gateway, 32 in flight": "at least 800 /s",
    "gateway, 200-chunk streams, 32 in flight": "at least 300 /s",
    "added latency, 1 in flight": "below 1.5 ms",
    "added latency, a megabyte of 1,000 messages": "of which below 10 ms for checking it; sending it on is in this too",
}

Row = dict[str, float]


def load(
    url: str,
    concurrency: int,
    seconds: float,
    method: str = "POST",
    headers: Any = None,
    body: Any = None,
) -> Row:
    sent = json.dumps(body, separators=(",", ":")) if body else ""
    command = [
        sys.executable,
        "-m",
        "benchmarks.client",
        url,
        str(concurrency),
        str(seconds),
        method,
        json.dumps(headers or {}),
    ]
    done = subprocess.run(
        command,
        input=sent,
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        preexec_fn=on_other_cores,
    )
    result: Row = json.loads(done.stdout)
    assert not result["failures"], f"{result['failures']} requests failed"
    return result


def on_other_cores() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)


def pin_to_first_core(process: ForkedProcess) -> None:
    first = min(os.sched_getaffinity(0))
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        with contextlib.suppress(ProcessLookupError):  # a thread that has just ended
            os.sched_setaffinity(int(thread), {first})


@contextlib.contextmanager
def mock_provider() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.upstream", str(port)],
        cwd=ROOT,
        preexec_fn=on_other_cores,
    )
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()


def resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


@contextlib.contextmanager
def running_gateway(
    folder: Path, upstream: str, kind: str = "uvicorn", **more: str
) -> Iterator[Site]:
    """A site in front of the mock provider, on the first core."""
    template = folder / "template"
    key = (folder / "key").read_text() if template.exists() else _make(template, folder / "key")
    native_api = {
        "PROVIDERS": {"mock": {"DIALECT": "openai", "BASE_URL": upstream, "API_KEY": "k"}},
        "MODELS": {
            model: {"TARGETS": [{"PROVIDER": "mock", "MODEL": model}]}
            for model in ("mock", "mock-slow")
        },
        "THROTTLE_RATES": {"caller": "10000000/m"},
    }
    with running_site(kind, folder, template, key, native_api, LOG_LEVEL="WARNING", **more) as site:
        pin_to_first_core(site.process)
        yield site


def _make(template: Path, key_path: Path) -> str:
    template.mkdir()
    key = make_template(template)
    key_path.write_text(key)
    return key


def bare_view(folder: Path, upstream: str, seconds: float, **settings: Any) -> Row:
    with running_gateway(
        folder, upstream, "uvicorn-django", SITE_SETTINGS=json.dumps(settings)
    ) as site:
        return load(site.url.replace("/native", "/bare"), 32, seconds, "GET")


def gateway_rows(site: Site, upstream: str, seconds: float) -> dict[str, Row]:
    gateway, provider, stream = (
        f"{site.url}/v1/chat/completions",
        f"{upstream}/chat/completions",
        {**CHAT, "stream": True},
    )
    return {
        "gateway, warming up": load(gateway, 8, 1.0, headers=site.headers, body=CHAT),
        "mock provider, 1 in flight": load(provider, 1, seconds, body=CHAT),
        "gateway, 1 in flight": load(gateway, 1, seconds, headers=site.headers, body=CHAT),
        "gateway, 32 in flight": load(gateway, 32, seconds, headers=site.headers, body=CHAT),
        "mock provider, 200-chunk streams, 32 in flight": load(provider, 32, seconds, body=stream),
        "gateway, 200-chunk streams, 32 in flight": load(
            gateway, 32, seconds, headers=site.headers, body=stream
        ),
        "mock provider, a megabyte of 1,000 messages": load(provider, 1, seconds, body=MEGABYTE),
        "gateway, a megabyte of 1,000 messages": load(
            gateway, 1, seconds, headers=site.headers, body=MEGABYTE
        ),
    }


def report(rows: dict[str, Row]) -> None:
    for name, row in rows.items():
        limit = f"   ({LIMITS[name]})" if name in LIMITS else ""
        print(
            f"{name:50} {row['per_second']:>9} /s   median {row['median_ms']:>8} ms   p99 {row['p99_ms']:>8} ms{limit}"
        )
    for name in ("1 in flight", "a megabyte of 1,000 messages"):
        added = rows[f"gateway, {name}"]["median_ms"] - rows[f"mock provider, {name}"]["median_ms"]
        print(
            f"{f'added latency, {name}':50} {added:>9.3f} ms   ({LIMITS[f'added latency, {name}']})"
        )
    share = (
        rows["gateway, 32 in flight"]["per_second"]
        / rows["bare Django view, 32 in flight"]["per_second"]
    )
    print(f"{'gateway against the bare view':50} {share:>9.2f}")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=5.0)
    seconds = arguments.parse_args().seconds
    with tempfile.TemporaryDirectory() as name, mock_provider() as upstream:
        folder = Path(name)
        rows = {
            "bare Django view, 32 in flight": bare_view(folder, upstream, seconds, MIDDLEWARE=[]),
            "bare Django view behind middleware, 32 in flight": bare_view(
                folder, upstream, seconds
            ),
        }
        with running_gateway(folder, upstream) as site:
            rows |= gateway_rows(site, upstream, seconds)
            report(rows)
            print(f"{'resident':50} {resident_megabytes(site.process.pid):>9.0f} MB")
            sent = sum(
                int(row["requests"])
                for row_name, row in rows.items()
                if row_name.startswith("gateway")
            )
            recorded = until(
                lambda: (count := len(site.usage())) >= sent and count, f"{sent} usage records", 60
            )
            print(f"{'usage records written':50} {recorded:>9} of {sent}")


if __name__ == "__main__":
    main()
