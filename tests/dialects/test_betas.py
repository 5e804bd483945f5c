"""Beta features of Anthropic's API: a field brings its beta, and both stay away together from hosts
that do not have it."""

from __future__ import annotations

from typing import Any

import pytest

from native_api.dialects.anthropic.betas import BETA_BY_FIELD
from native_api.exceptions import InvalidRequest, UnsupportedField
from tests.cases import each
from tests.dialects.request_targets import TARGETS, build_request

HI = {"role": "user", "content": "hi"}
CALLERS_FIELDS = {
    "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
    "compaction": {"enabled": True},
    "diagnostics": {"previous_message_id": "m"},
    "fallback_credit_token": "t",
    "output_config": {"task_budget": {"type": "tokens", "total": 1000}},
}
"""Fields that callers may set; the gateway owns the others."""


def ask(name: str, options: dict[str, Any]) -> Any:
    target = TARGETS[name]
    return build_request(target, HI, provider_options={target.provider.name: options})


@each("field", CALLERS_FIELDS)
def test_a_field_brings_its_beta(field: str) -> None:
    request = ask("anthropic", {field: CALLERS_FIELDS[field]})
    beta = next(beta for path, beta in BETA_BY_FIELD.items() if path[0] == field)
    assert beta in request.headers["anthropic-beta"].split(",")
    assert request.body[field] == CALLERS_FIELDS[field]


@each("field", CALLERS_FIELDS)
def test_vertex_has_the_betas_that_it_is_not_known_to_refuse(field: str) -> None:
    request = ask("anthropic_vertex", {field: CALLERS_FIELDS[field]})
    assert request.body[field] == CALLERS_FIELDS[field]
    assert request.omitted == ()


def test_a_beta_that_vertex_refuses_is_reported() -> None:
    request = ask("anthropic_vertex", {"betas": ["fast-mode-2026-02-01", "new-2027-01-01"]})
    assert request.headers["anthropic-beta"] == "new-2027-01-01"
    assert request.omitted == ("betas",)


@each("tool", ["code_execution_20250825", "web_fetch_20250910", "advisor_20260301"])
def test_a_tool_whose_beta_is_refused_makes_vertex_unsuitable(tool: str) -> None:
    with pytest.raises(UnsupportedField, match=tool) as caught:
        ask("anthropic_vertex", {"tools": [{"type": tool, "name": "t"}]})
    assert caught.value.param == "tools"


def test_a_block_whose_beta_is_refused_makes_vertex_unsuitable() -> None:
    block = {"type": "container_upload", "file_id": "f"}
    own = [{"format": "anthropic", "block": block}]
    with pytest.raises(UnsupportedField):
        build_request(TARGETS["anthropic_vertex"], {**HI, "provider_content": own})


def ask_bedrock(name: str, fields: dict[str, Any]) -> Any:
    request = ask(name, {"additionalModelRequestFields": fields})
    return request.body.get("additionalModelRequestFields"), request.omitted


def test_claudes_fields_bring_their_betas_on_bedrock() -> None:
    budget = CALLERS_FIELDS["output_config"]
    fields, omitted = ask_bedrock("bedrock claude", {"output_config": budget})
    assert fields == {"output_config": budget, "anthropic_beta": ["task-budgets-2026-03-13"]}
    assert omitted == ()


def test_a_field_that_converse_refuses_goes_with_its_beta() -> None:
    named = ["context-management-2025-06-27", "context-1m-2025-08-07"]
    management = CALLERS_FIELDS["context_management"]
    fields, omitted = ask_bedrock(
        "bedrock claude", {"context_management": management, "anthropic_beta": named}
    )
    assert fields == {"anthropic_beta": ["context-1m-2025-08-07"]}
    assert omitted == ("context_management", "betas")
    assert ask_bedrock("bedrock claude", {"context_management": management})[0] is None


def test_a_field_of_any_shape_goes() -> None:
    assert ask_bedrock("bedrock claude", {"context_management": "x", "top_k": 5}) == (
        {"top_k": 5},
        ("context_management", "betas"),
    )


def test_betas_that_are_not_names_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="anthropic_beta"):
        ask_bedrock("bedrock claude", {"anthropic_beta": [7]})


def test_other_makers_models_have_no_betas() -> None:
    fields = {"context_management": {}, "anthropic_beta": "x"}
    assert ask_bedrock("bedrock nova", fields)[0] == fields
