"""What clients get to read of a provider's error."""

from __future__ import annotations

import pytest

from native_api.engine.discretion import attribute, discreet
from native_api.exceptions import UpstreamError
from native_api.types import Provider, Secret

PROVIDER = Provider("up", "openai", "https://llm.example.com/v1", Secret("sk-abcdef123456"), headers={"x-team": "team-secret", "x-a": "b"})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("bad key sk-abcdef123456.", "bad key (hidden)."),
        ("header team-secret is wrong, b is not", "header (hidden) is wrong, b is not"),
        ("POST https://llm.example.com/v1/chat failed", "POST (hidden) failed"),
        ('upstream "http://10.0.0.7:8000/internal" is down', 'upstream "(hidden)" is down'),
        ("connect to 192.168.1.9:8000 refused", "connect to (hidden) refused"),
        ("http://vllm:8000/v1 and redis://cache.internal/0", "(hidden) and (hidden)"),
        ("http://[fd00::1]:99/x is down", "(hidden) is down"),
        ("cannot fetch https://pictures.example.org/a.png", "cannot fetch https://pictures.example.org/a.png"),
        ("see https://platform.openai.com/docs", "see https://platform.openai.com/docs"),
        ("version 1.2.3 of the model", "version 1.2.3 of the model"),
        ("", ""),
    ],
)
def test_secrets_and_private_addresses_are_taken_out_and_nothing_else(words: str, told: str) -> None:
    assert discreet(words, PROVIDER) == told


def test_each_part_of_a_key_is_a_secret() -> None:
    aws = Provider("aws", "openai", "https://a.example", Secret("AKIDEXAMPLE:wJalrXUtnFEMI:token-of-it"))
    assert discreet("AKIDEXAMPLE signed with wJalrXUtnFEMI and token-of-it", aws) == "(hidden) signed with (hidden) and (hidden)"


def test_a_fault_names_the_provider_and_reads_the_same_everywhere() -> None:
    fault = UpstreamError("no: sk-abcdef123456", upstream_status=500)
    attribute(fault, PROVIDER)
    assert (fault.provider, fault.message, str(fault)) == ("up", "no: (hidden)", "no: (hidden)")


def test_of_a_refused_key_nothing_is_told() -> None:
    fault = UpstreamError("Incorrect API key provided: sk-abc***3456.", upstream_status=401)
    attribute(fault, PROVIDER)
    assert "sk-" not in fault.message
    assert "does not accept the gateway's key" in fault.message
