"""AWS credentials: signatures that hold on the wire, keys that are found without holding anybody
up, secrets that stay secret."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gatewayproject import environment
from native_api.catalog import catalog
from native_api.exceptions import UpstreamError
from native_api.types import Provider, Secret, Target, UpstreamRequest
from native_api.upstream import call, transport
from native_api.upstream.attempt_log import AttemptLog
from native_api.upstream.auth import aws
from native_api.upstream.auth.methods import authorize
from native_api.upstream.prepared_request import prepare
from tests.aws_signature import authorization_members, signature_of
from tests.scripted_provider import Upstream, running_upstream, says
from tests.waiting import auntil

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
ARN = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123xyz"
REPLY = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1},
}
CHAT: Any = {"model": "m", "messages": [{"role": "user", "content": "Grüße"}]}


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with running_upstream() as server:
        server.script("", says(REPLY))
        yield server


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but those that a test provides, and none cached."""
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_BEARER_TOKEN_BEDROCK",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(aws, "_credentials", {})


def provider(
    key: str = "", url: str = "https://bedrock-runtime.us-east-1.amazonaws.com", **options: Any
) -> Provider:
    return Provider(
        "aws", "bedrock", url, Secret(key), "aws", options={"region": "us-east-1", **options}
    )


async def headers_for(where: Provider) -> dict[str, str]:
    return await authorize(
        UpstreamRequest(f"{where.base_url}/model/m/converse", {}), "POST", b"{}", where
    )


def ask(upstream: Upstream, model: str, key: str) -> Any:
    """Send a real request for `model`, and return it as it arrived."""
    where = provider(key, upstream.url.removesuffix("/v1"))
    upstream.script(model, says(REPLY))

    async def send() -> None:
        await call.complete(prepare(CHAT, Target(where, model)), AttemptLog())
        await transport.aclose()

    asyncio.run(send())
    return upstream.requests_for(model)[-1]


@pytest.mark.parametrize(
    "model", ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-micro-v1:0", ARN]
)
def test_the_signature_matches_the_request_on_the_wire(upstream: Upstream, model: str) -> None:
    received = ask(upstream, model, f"AKIDEXAMPLE:{SECRET}")
    assert authorization_members(received)["Signature"] == signature_of(
        received, SECRET, "us-east-1", "bedrock"
    )
    assert authorization_members(received)["Credential"].startswith("AKIDEXAMPLE/")
    assert received.path.count("/") == 3, "an ARN is one segment"


def test_a_session_token_is_sent_and_signed(upstream: Upstream) -> None:
    received = ask(upstream, "with-token", f"ASIDEXAMPLE:{SECRET}:FwoGZXIvYXdzEXAMPLE//token==")
    assert received.headers["x-amz-security-token"] == "FwoGZXIvYXdzEXAMPLE//token=="
    assert "x-amz-security-token" in authorization_members(received)["SignedHeaders"]
    assert authorization_members(received)["Signature"] == signature_of(
        received, SECRET, "us-east-1", "bedrock"
    )


def test_a_bedrock_api_key_is_a_bearer_token(upstream: Upstream) -> None:
    received = ask(upstream, "with-api-key", "bedrock-api-key-YWJj")
    assert received.headers["authorization"] == "Bearer bedrock-api-key-YWJj"
    assert "x-amz-date" not in received.headers


def test_the_bearer_token_of_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert "Credential=AKIDENV/" in asyncio.run(headers_for(provider()))["authorization"]
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKtoken")
    assert asyncio.run(headers_for(provider()))["authorization"] == "Bearer ABSKtoken"


def test_a_profile_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text(
        f"[team]\naws_access_key_id = AKIDTEAM\naws_secret_access_key = {SECRET}\n"
    )
    assert (
        "Credential=AKIDTEAM/"
        in asyncio.run(headers_for(provider(profile="team")))["authorization"]
    )


def helper(folder: Path, lifetime: timedelta, gate: Path | None = None) -> Path:
    """A credential process that counts how often it runs; the count is part of the key id it
    gives. It waits for the file `gate`."""
    count, script = folder / "count", folder / "helper.py"
    expires = (datetime.now(UTC) + lifetime).isoformat()
    script.write_text(
        f"import json, pathlib, time\ncount = pathlib.Path({str(count)!r})\n"
        "number = int(count.read_text()) + 1 if count.exists() else 1\n"
        "count.write_text(str(number))\n"
        f"while not pathlib.Path({str(gate or folder)!r}).exists(): time.sleep(0.01)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'AKID{number}', "
        f"'SecretAccessKey': {SECRET!r}, 'Expiration': {expires!r}}}))\n"
    )
    (folder / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    return count


def test_concurrent_calls_share_one_search_and_do_not_block_the_loop(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    count = helper(tmp_path, timedelta(hours=1), gate)

    async def run() -> list[dict[str, str]]:
        asking = [asyncio.create_task(headers_for(provider())) for _ in range(20)]
        await auntil(count.exists, "the search, while the loop goes on")
        gate.touch()
        return await asyncio.gather(*asking)

    assert all("Credential=AKID1/" in headers["authorization"] for headers in asyncio.run(run()))
    asyncio.run(headers_for(provider()))
    assert count.read_text() == "1"


def test_a_search_takes_no_thread_that_others_need(tmp_path: Path) -> None:
    """The loop's own threads are for everybody: a metadata service that hangs must not use them."""
    helper(tmp_path, timedelta(hours=1))

    async def run() -> None:
        with ThreadPoolExecutor(1) as threads:
            asyncio.get_running_loop().set_default_executor(threads)
            threads.shutdown()
            await headers_for(provider())

    asyncio.run(run())


def test_credentials_about_to_expire_are_renewed(tmp_path: Path) -> None:
    helper(tmp_path, timedelta(minutes=5))
    first = asyncio.run(headers_for(provider()))["authorization"]
    second = asyncio.run(headers_for(provider()))["authorization"]
    assert first.split("/")[0] != second.split("/")[0]


def test_a_cancelled_waiter_does_not_end_the_search(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    count = helper(tmp_path, timedelta(hours=1), gate)

    async def run() -> dict[str, str]:
        leaving, staying = (asyncio.create_task(headers_for(provider())) for _ in range(2))
        await auntil(count.exists, "the search")
        leaving.cancel()
        gate.touch()
        return await staying

    assert "Credential=AKID1/" in asyncio.run(run())["authorization"]
    assert count.read_text() == "1"


def test_a_search_without_result_is_a_provider_fault_and_repeated_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        UpstreamError, match="AWS credentials cannot be used: none were found"
    ) as caught:
        asyncio.run(headers_for(provider()))
    assert (caught.value.status, caught.value.code) == (502, "credentials_unusable")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDLATER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    assert "Credential=AKIDLATER/" in asyncio.run(headers_for(provider()))["authorization"]


def test_the_output_of_a_credential_helper_is_not_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config").write_text(
        f"[default]\ncredential_process = {sys.executable} -c "
        f"\"import sys; sys.exit('{SECRET}')\"\n"
    )
    with caplog.at_level(logging.DEBUG, "native_api"), pytest.raises(UpstreamError) as caught:
        asyncio.run(headers_for(provider()))
    assert "CredentialRetrievalError" in caplog.text
    assert SECRET not in caplog.text + str(caught.value) + repr(caught.value.__cause__)
    assert caught.value.__suppress_context__


def test_keys_are_in_no_repr() -> None:
    where = provider(f"AKIDEXAMPLE:{SECRET}:token")
    assert SECRET not in repr(where) + repr(Target(where, "m")) + str(Target(where, "m"))


def test_keys_are_redacted_from_a_refusal(upstream: Upstream) -> None:
    """AWS shows the headers that it checked the signature of, the session token among them."""
    quoted = (
        "The Canonical String should have been 'POST x-amz-security-token:a-token' "
        f"signed with {SECRET}"
    )
    where = provider(f"AKIDEXAMPLE:{SECRET}:a-token", upstream.url.removesuffix("/v1"))
    upstream.script("quoted", says({"message": quoted}, 403))

    async def send() -> None:
        try:
            await call.complete(prepare(CHAT, Target(where, "quoted")), AttemptLog())
        finally:
            await transport.aclose()

    with pytest.raises(UpstreamError, match="The Canonical String should have been") as caught:
        asyncio.run(send())
    assert "a-token" not in caught.value.message
    assert SECRET not in caught.value.message


def test_botocore_is_imported_only_when_needed() -> None:
    code = "import sys, native_api.upstream.call; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_botocore_only_api_keys_work(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name == "botocore" or name.startswith("botocore.")
    ]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "botocore", None)
    for key in ("", f"AKIDEXAMPLE:{SECRET}"):
        with pytest.raises(UpstreamError, match="botocore is not installed"):
            asyncio.run(headers_for(provider(key)))
        assert (
            problem({"API_KEY": key, "OPTIONS": {"region": "us-east-1"}})
            == "botocore is not installed"
        )
    assert asyncio.run(headers_for(provider("ABSKtoken")))["authorization"] == "Bearer ABSKtoken"
    assert problem({"API_KEY": "ABSKtoken", "OPTIONS": {"region": "us-east-1"}}) == ""


def problem(definition: dict[str, Any]) -> str:
    """The message of `manage.py check` and the admin about a provider; "" if it is valid."""
    found = catalog.build({"bedrock": definition}, {}).problems
    return found[0].message if found else ""


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({"OPTIONS": {"region": "eu-west-1"}}, ""),
        ({"API_KEY": f"AKID:{SECRET}", "OPTIONS": {"region": "eu-west-1"}}, ""),
        ({}, "no OPTIONS['region']"),
        ({"API_KEY": "ABSKtoken", "BASE_URL": "https://bedrock.example"}, ""),
        (
            {"API_KEY": f"AKID:{SECRET}", "BASE_URL": "https://bedrock.example"},
            "no OPTIONS['region']",
        ),
        (
            {"API_KEY": ":" + SECRET, "OPTIONS": {"region": "eu-west-1"}},
            "the AWS API_KEY has an empty part",
        ),
        (
            {"OPTIONS": {"region": "eu-west-1", "secret_access_key": SECRET}},
            "OPTIONS['secret_access_key'] is a secret",
        ),
    ],
)
def test_an_aws_provider_that_cannot_work_is_reported_before_it_is_used(
    definition: dict[str, Any], expected: str
) -> None:
    assert problem(definition) == expected
    assert SECRET not in json.dumps(
        [
            list(authorization_members)
            for authorization_members in catalog.build({"bedrock": definition}, {}).problems
        ]
    )


def test_the_region_is_part_of_the_address() -> None:
    built = catalog.build(
        {"bedrock": {"API_KEY": "ABSKtoken", "OPTIONS": {"region": "eu-west-1"}}}, {}
    ).providers["bedrock"]
    assert built.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"


def test_the_project_takes_the_region_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "ABSKtoken")
    assert "bedrock" not in environment.providers(), "without a region there is no address"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    authorization_members = environment.providers()["bedrock"]
    assert authorization_members == {"API_KEY": "ABSKtoken", "OPTIONS": {"region": "eu-west-1"}}
    assert problem(authorization_members) == ""
