"""Providers whose tokens come from services on loopback."""

from __future__ import annotations

import asyncio
from typing import Any

from native_api.types import Provider, Secret, UpstreamRequest
from native_api.upstream.auth import methods
from tests.scripted_provider import Gate, Upstream
from tests.upstream.keys import service_account

X = frozenset({"x"})
"""The host of these tests' providers, to which the machine's identity may be sent."""


def issues(server: Upstream, lives: int = 3600, gate: Gate | None = None) -> Any:
    async def script(exchange: Any) -> None:
        number = len(server.requests)
        if gate is not None:
            await gate(exchange)
        await exchange.json(
            {"access_token": f"token-{number}", "expires_in": lives, "token_type": "Bearer"}
        )

    return script


def vertex(server: Upstream, **options: Any) -> Provider:
    return Provider(
        "vertex",
        "gemini",
        "https://x",
        Secret(service_account(f"{server.url}/token")),
        "google",
        options=options,
    )


async def authorization(provider: Provider) -> str:
    return (await methods.authorize(UpstreamRequest("https://x", {}), "POST", b"{}", provider)).get(
        "authorization", ""
    )


def ask(provider: Provider) -> str:
    return asyncio.run(authorization(provider))


def refuses(description: str, status: int = 400) -> Any:
    async def script(exchange: Any) -> None:
        await exchange.json({"error": "invalid_grant", "error_description": description}, status)

    return script


VENDORS = [
    ("aws", "https://bedrock-runtime.us-east-1.amazonaws.com"),
    ("aws", "https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com"),
    ("aws", "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
    ("aws", "https://bedrock-runtime.us-east-1.api.aws"),
    ("aws", "https://vpce-0a1b-2c3d.bedrock-runtime.eu-west-1.vpce.amazonaws.com"),
    ("google", "https://aiplatform.googleapis.com/v1"),
    ("google", "https://europe-west4-aiplatform.googleapis.com/v1"),
    ("google", "https://aiplatform.eu.rep.googleapis.com/v1"),
    ("google", "https://us-central1-aiplatform-mine.p.googleapis.com/v1"),
    ("google", "https://generativelanguage.googleapis.com/v1beta"),
    ("azure", "https://mine.openai.azure.com/openai/v1"),
    ("azure", "https://mine.privatelink.openai.azure.com/openai/v1"),
    ("azure", "https://mine.cognitiveservices.azure.com/openai/v1"),
    ("azure", "https://mine.services.ai.azure.com/models"),
    ("azure", "https://mine.openai.azure.us/openai/v1"),
    ("azure", "https://mine.openai.azure.cn/openai/v1"),
]
OTHERS = [
    ("aws", "https://evil.example"),
    ("aws", "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example"),
    ("aws", "https://bedrock-x.s3.amazonaws.com"),
    ("aws", "https://bedrock.s3-us-west-2.amazonaws.com"),
    ("aws", "https://abc.execute-api.us-east-1.amazonaws.com"),
    ("aws", "https://bedrock-lb-1.us-east-1.elb.amazonaws.com"),
    ("aws", "https://ec2-1-2-3-4.compute-1.amazonaws.com"),
    ("aws", "https://vpce-1-2.vpce-svc-3.us-east-1.vpce.amazonaws.com"),
    ("aws", "http://bedrock-runtime.us-east-1.amazonaws.com"),
    ("aws", "https://bedrock-runtime.us-east-1.amazonaws.com@evil.example"),
    ("aws", "https://evil.example/bedrock-runtime.us-east-1.amazonaws.com"),
    ("aws", "https://evil.example\\.bedrock-runtime.us-east-1.amazonaws.com"),
    ("google", "https://aiplatform.googleapis.com.evil.example/v1"),
    ("google", "https://evilgoogleapis.com/v1"),
    ("google", "https://storage.googleapis.com/evil"),
    ("google", "http://aiplatform.googleapis.com/v1"),
    ("google", "https://aiplatform.googleapis.com:443@evil.example/v1"),
    ("azure", "https://evil.azure-api.net/openai/v1"),
    ("azure", "https://evil.azurewebsites.net"),
    ("azure", "https://evil.westeurope.inference.ml.azure.com"),
    ("azure", "https://openai.azure.com.evil.example"),
    ("azure", "http://mine.openai.azure.com/openai/v1"),
    ("azure", "https://evil.example/openai.azure.com"),
]


def definition(auth: str, url: str, **members: Any) -> dict[str, Any]:
    return {
        "DIALECT": "openai",
        "BASE_URL": url,
        "AUTH": auth,
        **members,
        "OPTIONS": {"region": "us-east-1", **members.get("OPTIONS", {})},
    }
