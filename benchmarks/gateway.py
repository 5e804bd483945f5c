"""Shows what the gateway costs: requests and streams a second on one core, and the latency it adds.

    python -m benchmarks.gateway [--seconds 5]

Everything is on: key, throttle, checks, usage written to the database. In the same run, for comparison: the mock provider
called directly, and a Django view that does nothing. The server has one processor to itself where the machine has two.
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

from tests.servers import ROOT, free_port, make_template, running_site, until

CHAT = {"model": "mock", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, how are you?"}]}


def load(url: str, concurrency: int, seconds: float, method: str = "POST", headers: Any = None, body: Any = None) -> dict[str, float]:
    sent = json.dumps(body, separators=(",", ":")) if body else ""
    command = [sys.executable, "-m", "benchmarks.client", url, str(concurrency), str(seconds), method, json.dumps(headers or {}), sent]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, preexec_fn=on_other_cores)
    result: dict[str, float] = json.loads(done.stdout)
    assert not result["failures"], f"{result['failures']} requests failed"
    return result


def on_other_cores() -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)


def pin_to_first_core(process: subprocess.Popen[bytes]) -> None:
    first = min(os.sched_getaffinity(0))
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(thread), {first})


@contextlib.contextmanager
def mock_provider() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.upstream", str(port)], cwd=ROOT, preexec_fn=on_other_cores)
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


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--seconds", type=float, default=5.0)
    seconds = arguments.parse_args().seconds
    with tempfile.TemporaryDirectory() as name, mock_provider() as upstream:
        folder = Path(name)
        (folder / "template").mkdir()
        key = make_template(folder / "template")
        native_api = {
            "PROVIDERS": {"mock": {"DIALECT": "openai", "BASE_URL": upstream, "API_KEY": "k"}},
            "MODELS": {model: {"TARGETS": [{"PROVIDER": "mock", "MODEL": model}]} for model in ("mock", "mock-slow")},
            "THROTTLE_RATES": {"caller": "10000000/m"},
        }
        with running_site("uvicorn", folder, folder / "template", key, native_api, LOG_LEVEL="WARNING") as site:
            pin_to_first_core(site.process)
            report(site, upstream, seconds)


def report(site: Any, upstream: str, seconds: float) -> None:
    chat_url, stream = f"{site.url}/v1/chat/completions", {**CHAT, "stream": True}
    load(chat_url, 8, 1.0, headers=site.headers, body=CHAT)
    rows = {
        "bare Django view, 32 in flight": load(site.url.replace("/native", "/bare"), 32, seconds, "GET"),
        "mock provider, 1 in flight": load(f"{upstream}/chat/completions", 1, seconds, body=CHAT),
        "gateway, 1 in flight": load(chat_url, 1, seconds, headers=site.headers, body=CHAT),
        "gateway, 32 in flight": load(chat_url, 32, seconds, headers=site.headers, body=CHAT),
        "mock provider, 200-chunk streams, 32 in flight": load(f"{upstream}/chat/completions", 32, seconds, body=stream),
        "gateway, 200-chunk streams, 32 in flight": load(chat_url, 32, seconds, headers=site.headers, body=stream),
    }
    sent = sum(int(row["requests"]) for name, row in rows.items() if name.startswith("gateway"))
    for name, row in rows.items():
        print(f"{name:50} {row['per_second']:>9} /s   median {row['median_ms']:>8} ms   p99 {row['p99_ms']:>8} ms")
    added = rows["gateway, 1 in flight"]["median_ms"] - rows["mock provider, 1 in flight"]["median_ms"]
    print(f"{'added latency, 1 in flight':50} {added:>9.3f} ms")
    print(f"{'resident':50} {resident_megabytes(site.process.pid):>9.0f} MB")
    recorded = until(lambda: (count := len(site.usage())) >= sent and count, f"{sent} usage records", 60)
    print(f"{'usage records written':50} {recorded:>9}")


if __name__ == "__main__":
    main()
