"""What a site says of models: BASE_MODEL of a target, and MODEL_RULES of the site, a provider and a
preset."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, override_settings

from native_api.catalog import catalog
from native_api.catalog.presets import Preset
from native_api.catalog.providers import build_provider
from native_api.conf import errors_of
from native_api.dialects import DIALECTS
from native_api.dialects.shared.model_rules import find_rule
from native_api.exceptions import ConfigurationError
from native_api.models import ModelRoute, Provider
from native_api.pricing import lookup
from native_api.types import Target, UpstreamRequest
from native_api.types.model_rules import ModelRule
from tests.catalog.provider_rows import PAGE, form

LOCAL = {"DIALECT": "openai", "BASE_URL": "http://127.0.0.1:1/v1"}
AZURE = {
    "PRESET": "azure",
    "API_KEY": "k",
    "OPTIONS": {"endpoint": "https://x.openai.azure.com"},
}
BEDROCK = {"PRESET": "bedrock", "API_KEY": "k", "OPTIONS": {"region": "us-east-1"}}
PROFILE = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc"


def ask(target: Target, **fields: Any) -> UpstreamRequest:
    chat: Any = {"model": "x", "messages": [{"role": "user", "content": "a"}], **fields}
    return DIALECTS[target.provider.dialect].request(chat, target)


def rule_of(model: str, own: Any = None, **site: Any) -> ModelRule:
    definition = {**LOCAL, "MODEL_RULES": own} if own is not None else LOCAL
    with override_settings(NATIVE_API=site):
        return find_rule(Target(build_provider("local", definition), model))


# --- the model behind a name ---------------------------------------------------------------------


def test_the_base_model_of_a_target_says_what_it_refuses() -> None:
    definition = {"PROVIDER": "azure", "MODEL": "prod-eu", "BASE_MODEL": "gpt-5.4"}
    snapshot = catalog.build({"azure": AZURE}, {"fast": {"TARGETS": [definition]}})
    [target] = snapshot.targets("fast")
    request = ask(target, temperature=0.5, reasoning_effort="high")
    assert request.body["model"] == "prod-eu"
    assert "temperature" not in request.body
    assert request.omitted == ("temperature",)


def test_an_inference_profile_with_a_base_model_is_known_on_bedrock() -> None:
    target = Target(build_provider("b", BEDROCK), PROFILE, base_model="anthropic.claude-opus-4-7")
    request = ask(target, temperature=0.5, reasoning_effort="high")
    assert "inferenceConfig" not in request.body
    assert request.body["additionalModelRequestFields"]["thinking"]["type"] == "adaptive"
    assert request.omitted == ("temperature",)
    assert PROFILE.rpartition("/")[2] in request.url


@pytest.mark.parametrize("pattern", ["prod-*", "PROD-EU", "*"])
def test_a_provider_names_the_models_behind_its_deployments(pattern: str) -> None:
    rules = {pattern: {"BASE_MODEL": "gpt-5.4"}}
    snapshot = catalog.build({"azure": {**AZURE, "MODEL_RULES": rules}}, {})
    [target] = snapshot.targets("azure/prod-eu")
    assert ask(target, temperature=0.5, reasoning_effort="low").omitted == ("temperature",)


def test_the_base_model_has_the_price() -> None:
    target = Target(build_provider("azure", AZURE), "prod-eu", base_model="gpt-4o")
    named = Target(build_provider("azure", AZURE), "gpt-4o")
    assert lookup.price_of(target) == lookup.price_of(named) is not None
    assert lookup.price_of(Target(build_provider("azure", AZURE), "prod-eu")) is None


# --- rules ---------------------------------------------------------------------------------------


def test_a_site_adds_a_rule_for_a_model_that_nobody_knows() -> None:
    rules = {"acme-*": {"REFUSED": ["seed"], "ROLES": {"system": "user"}}}
    with override_settings(NATIVE_API={"MODEL_RULES": rules}):
        target = Target(build_provider("local", LOCAL), "Acme/acme-7b:free")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "a"}]
    request = ask(target, seed=1, messages=messages)
    assert request.body["messages"] == [{"role": "user", "content": "Be brief.\n\na"}]
    assert request.omitted == ("seed",)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_wire_obeys_a_rule(dialect: str) -> None:
    definition = {
        "DIALECT": dialect,
        "BASE_URL": "https://api.example/v1",
        "AUTH": "none",
        "OPTIONS": {"project": "p", "location": "us", "region": "us-east-1"},
        "MODEL_RULES": {"acme-*": {"REFUSED": ["temperature"]}},
    }
    target = Target(build_provider("local", definition), "acme-7b")
    request = ask(target, temperature=0.5)
    assert "0.5" not in request.content.decode()
    assert request.omitted == ("temperature",)


def test_a_rule_changes_only_its_members() -> None:
    rule = rule_of("gpt-5.4", {"gpt-5*": {"TOOLS_WITH_EFFORT": "any"}})
    assert rule.tools_with_effort == "any"
    assert rule.max_tokens_field == "max_completion_tokens"


def test_a_provider_takes_precedence_over_the_site_and_both_over_the_table() -> None:
    site = {"MODEL_RULES": {"grok-4": {"REFUSED": ["seed"], "REASONING": "off"}}}
    assert rule_of("grok-4", None, **site).refused == {"seed"}
    rule = rule_of("grok-4", {"grok-*": {"REFUSED": []}}, **site)
    assert (rule.refused, rule.reasoning) == (frozenset(), "off")


def test_of_two_patterns_the_first_one_wins() -> None:
    rules = {"acme-7b": {"REASONING": "on"}, "acme-*": {"REASONING": "never", "EFFORTS": ["low"]}}
    rule = rule_of("acme-7b", rules)
    assert (rule.reasoning, rule.efforts) == ("on", ("low",))


def test_a_site_takes_precedence_over_a_preset() -> None:
    preset = Preset(
        "acme",
        "openai",
        "https://api.acme.example/v1",
        auth="none",
        model_rules={"*": {"REASONING": "never", "REASONING_FIELD": "reasoning"}},
    )
    rules = {"acme-*": {"REASONING": "on"}}
    with override_settings(NATIVE_API={"PRESETS": {"acme": preset}, "MODEL_RULES": rules}):
        rule = find_rule(Target(build_provider("acme", {}), "acme-7b"))
    assert (rule.reasoning, rule.reasoning_field) == ("on", "reasoning")


def test_what_a_site_sets_takes_precedence_over_the_vendors_quirks() -> None:
    rules = {"*": {"MAX_TOKENS_FIELD": "max_tokens", "REASONING_FIELD": "reasoning"}}
    target = Target(build_provider("openai", {"API_KEY": "k", "MODEL_RULES": rules}), "gpt-5")
    messages = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_content": "think"},
        {"role": "user", "content": "c"},
    ]
    body = ask(target, max_completion_tokens=5, messages=messages).body
    assert body["max_tokens"] == 5
    assert body["messages"][1]["reasoning"] == "think"


def test_a_site_names_the_switch_of_its_own_server() -> None:
    rules = {"*": {"THINKING": "chat_template_kwargs"}}
    target = Target(build_provider("local", {**LOCAL, "MODEL_RULES": rules}), "qwen3-32b")
    body = ask(target, reasoning_effort="none").body
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "thinking": False}
    assert "reasoning_effort" not in body


# --- what is wrong -------------------------------------------------------------------------------

INVALID: list[tuple[Any, str, str]] = [
    ([1], "MODEL_RULES must be a dictionary", "Such as"),
    ({"": {}}, "MODEL_RULES: a key must be a pattern of model names", "Such as"),
    ({"a": 1}, "MODEL_RULES['a'] must be a dictionary", "Such as"),
    ({"a": {"REFUSE": []}}, "MODEL_RULES['a']: unknown key 'REFUSE'", "Known: BASE_MODEL"),
    (
        {"a": {"REFUSED": ["temprature"]}},
        "MODEL_RULES['a']: REFUSED: there is no field 'temprature'",
        "Did you mean 'temperature'?",
    ),
    ({"a": {"REFUSED": "seed"}}, "MODEL_RULES['a']: REFUSED must be a list of strings", "It is"),
    (
        {"a": {"REASONING": "yes"}},
        "MODEL_RULES['a']: REASONING must be one of '', 'always', 'on', 'off', 'never'",
        "It is 'yes'.",
    ),
    ({"a": {"EFFORTS": ["some"]}}, "MODEL_RULES['a']: EFFORTS: unknown effort 'some'", "Known:"),
    (
        {"a": {"ROLES": {"system": "boss"}}},
        "MODEL_RULES['a']: ROLES must be a dictionary of roles",
        "Such as",
    ),
    (
        {"a": {"ROLES": {"system": ["user"]}}},
        "MODEL_RULES['a']: ROLES must be a dictionary of roles",
        "Such as",
    ),
    (
        {"a": {"NEEDS_REASONING": "no"}},
        "MODEL_RULES['a']: NEEDS_REASONING must be True or False",
        "It is 'no'.",
    ),
    (
        {"a": {"BASE_MODEL": 5}},
        "MODEL_RULES['a']: BASE_MODEL must be the name of a model",
        "Such as 'gpt-5.4'.",
    ),
]


@pytest.mark.parametrize(("rules", "message", "hint"), INVALID)
def test_what_is_wrong_with_a_rule_is_named(rules: Any, message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        build_provider("local", {**LOCAL, "MODEL_RULES": rules})
    assert caught.value.message == message
    assert caught.value.hint.startswith(hint)


def test_the_check_names_the_place_of_the_fault() -> None:
    rules = {"a": {"EFFORTS": ["some"]}}
    with override_settings(NATIVE_API={"MODEL_RULES": rules}):
        [error] = errors_of("MODEL_RULES")
    assert error.path == "NATIVE_API['MODEL_RULES']['a']"
    assert error.message == "EFFORTS: unknown effort 'some'"


def test_a_base_model_is_a_name() -> None:
    definition = {"PROVIDER": "azure", "MODEL": "prod-eu", "BASE_MODEL": 5}
    snapshot = catalog.build({"azure": AZURE}, {"fast": {"TARGETS": [definition]}})
    assert any("BASE_MODEL must be a string" in each.message for each in snapshot.problems)


# --- rows ----------------------------------------------------------------------------------------


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("root", "r@example.com", "root"))
    return client


def test_the_admin_takes_rules_and_says_what_is_wrong_with_them(admin: Client) -> None:
    rules = {"prod-*": {"BASE_MODEL": "gpt-5.4"}}
    admin.post(f"{PAGE}add/", form(model_rules=rules))
    [row] = Provider.objects.all()
    assert row.definition()["MODEL_RULES"] == rules
    page = admin.post(f"{PAGE}add/", form(name="q", model_rules={"a": {"REFUSE": []}}))
    assert "unknown key" in page.content.decode()


@pytest.mark.django_db
def test_a_row_of_a_target_names_its_base_model() -> None:
    Provider.objects.create(name="p", dialect="openai", base_url="http://127.0.0.1:1/v1")
    route = ModelRoute.objects.create(name="fast")
    route.targets.create(provider="p", model="prod-eu", base_model="gpt-5.4")
    catalog.forget()
    [target] = catalog.current().targets("fast")
    catalog.forget()
    assert target.known_model == "gpt-5.4"
    assert json.loads(json.dumps(route.definition()))["TARGETS"][0]["BASE_MODEL"] == "gpt-5.4"
