"""The settings DIALECTS, PRESETS and AUTH_METHODS: what a site plugs in has a name like what the
gateway has, and what cannot be used is named with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client, override_settings

from native_api.catalog import Preset, catalog, openai_compatible, plugins
from native_api.catalog.environment import providers_from_environment
from native_api.catalog.presets import PRESETS
from native_api.catalog.providers import build_provider
from native_api.conf import setting_errors
from native_api.dialects import DIALECTS, OpenAI
from native_api.exceptions import ConfigurationError
from native_api.models import Provider
from native_api.types import ClientBody, Target
from native_api.upstream.auth.methods import AUTHORIZERS
from native_api.upstream.prepared_request import prepare
from tests.dialects.test_declaration import Complete, variant

HERE = "tests.catalog.test_plugins"


class Acme(Complete):
    name = "acme"


class Misnamed(Complete):
    pass


class Unmakeable(Acme):
    def __init__(self, secret: str) -> None:
        raise AssertionError(secret)


async def sign(request: Any, method: Any, content: Any, provider: Any) -> dict[str, str]:
    return {"x-acme": "signed"}


async def sign_nothing() -> dict[str, str]:
    return {}


def sign_at_once(request: Any, method: Any, content: Any, provider: Any) -> dict[str, str]:
    return {}


class Signer:
    async def __call__(self, request: Any, method: Any, content: Any, provider: Any) -> Any:
        return {}


SIGNER = Signer()
VENDOR = Preset(
    "vendor",
    "acme",
    "https://{region}.vendor.example",
    key_variable="VENDOR_KEY",
    auth="acme-hmac",
    options={"region": ("VENDOR_REGION",)},
)

PLUGGED_IN: dict[str, Any] = {
    "DIALECTS": {"acme": f"{HERE}.Acme"},
    "PRESETS": {"vendor": f"{HERE}.VENDOR"},
    "AUTH_METHODS": {"acme-hmac": f"{HERE}.sign"},
}
ROW = {"API_KEY": "k", "OPTIONS": {"region": "eu"}}


@pytest.fixture(autouse=True)
def nothing_plugged_in() -> Iterator[None]:
    yield
    assert [registry.site for registry in plugins.REGISTRIES.values()] == [{}, {}, {}]


def errors(**native_api: Any) -> list[tuple[str, str, str]]:
    with override_settings(NATIVE_API=native_api):
        return [
            (error.path.removeprefix("NATIVE_API"), error.message, error.hint)
            for error in setting_errors()
        ]


# --- names ---------------------------------------------------------------------------------------


def test_a_provider_may_use_what_the_site_plugs_in() -> None:
    with override_settings(NATIVE_API=PLUGGED_IN):
        built = catalog.build(
            {"vendor": ROW, "mine": {"PRESET": "vendor", **ROW, "AUTH": "bearer"}}, {}
        )
        assert built.problems == ()
        providers = built.providers
        assert isinstance(DIALECTS[providers["vendor"].dialect], Acme)
        assert providers["vendor"].base_url == "https://eu.vendor.example"
        assert (providers["vendor"].auth, providers["mine"].auth) == ("acme-hmac", "bearer")
        assert providers["mine"].vendor == "vendor"


def test_a_change_of_the_settings_is_honoured_and_undone() -> None:
    definition = {"DIALECT": "acme", "BASE_URL": "https://x", "API_KEY": "k"}
    with pytest.raises(ConfigurationError, match="unknown dialect 'acme'"):
        build_provider("p", definition)
    with override_settings(NATIVE_API=PLUGGED_IN):
        assert build_provider("p", definition).dialect == "acme"
        one = DIALECTS["acme"]
        assert build_provider("q", definition)
        assert DIALECTS["acme"] is one
        with override_settings(NATIVE_API={"DIALECTS": {"acme": Acme}}):
            assert build_provider("p", definition)
            assert DIALECTS["acme"] is not one
            assert "vendor" not in PRESETS
        assert "acme" not in DIALECTS
    with pytest.raises(ConfigurationError, match="unknown dialect 'acme'"):
        build_provider("p", definition)


def test_things_themselves_are_as_good_as_paths() -> None:
    things = {
        "DIALECTS": {"acme": Acme},
        "AUTH_METHODS": {"acme-hmac": partial(sign), "signer": SIGNER},
        "PRESETS": {
            "vendor": VENDOR,
            "other": openai_compatible("other", "https://other.example/v1"),
        },
    }
    assert errors(**things) == []
    with override_settings(NATIVE_API=things):
        assert build_provider("other", {"API_KEY": "k", "AUTH": "signer"}).auth == "signer"
        assert {"acme-hmac", "signer", "bearer"} < set(AUTHORIZERS)
        assert len(PRESETS) == len(PRESETS.built_in) + 2 == len(list(PRESETS))


def test_an_error_of_a_provider_lists_the_sites_names_too() -> None:
    with override_settings(NATIVE_API=PLUGGED_IN):
        for member, name in (("DIALECT", "acme"), ("PRESET", "vendor"), ("AUTH", "acme-hmac")):
            definition = {"DIALECT": "openai", "BASE_URL": "https://x", member: "nowhere"}
            with pytest.raises(ConfigurationError) as caught:
                build_provider("p", definition)
            assert f", {name}" in caught.value.hint or f"{name}," in caught.value.hint


def test_a_vendor_is_found_when_its_variables_are_set() -> None:
    environment = {"VENDOR_KEY": "k", "VENDOR_REGION": "eu"}
    assert providers_from_environment(environment) == {}
    with override_settings(NATIVE_API=PLUGGED_IN):
        plugins.load()
        assert providers_from_environment(environment) == {"vendor": ROW}


# --- the admin -----------------------------------------------------------------------------------

FORM = {"name": "vendor", "headers": "{}", "options": '{"region": "eu"}', "enabled": "on"}


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    client.force_login(get_user_model().objects.create_superuser("root", "r@example.com", "root"))
    return client


def selected(page: str, name: str) -> str:
    """The options of a select, as HTML."""
    return page.partition(f'<select name="{name}"')[2].partition("</select>")[0]


def test_the_admin_offers_the_names_and_takes_them(admin: Client) -> None:
    with override_settings(NATIVE_API=PLUGGED_IN):
        page = admin.get("/admin/native_api/provider/add/").content.decode()
        for field, own, built_in in (
            ("preset", "vendor", "openai"),
            ("dialect", "acme", "gemini"),
            ("auth", "acme-hmac", "bearer"),
        ):
            assert f'value="{own}"' in selected(page, field)
            assert f'value="{built_in}"' in selected(page, field)
        added = {**FORM, "auth": "acme-hmac", "new_api_key": "k"}
        admin.post("/admin/native_api/provider/add/", added)
        catalog.forget()
        assert catalog.current().providers["vendor"].dialect == "acme"


def test_a_row_keeps_a_name_that_the_site_has_no_longer(admin: Client) -> None:
    row = Provider.objects.create(name="p", dialect="gone", base_url="https://x")
    url = f"/admin/native_api/provider/{row.pk}/change/"
    assert '<option value="gone" selected>' in selected(admin.get(url).content.decode(), "dialect")
    form = {**FORM, "name": "p", "dialect": "gone", "base_url": "https://x"}
    assert "unknown dialect &#x27;gone&#x27;" in admin.post(url, form).content.decode()


def test_the_form_works_while_the_settings_are_invalid(admin: Client) -> None:
    with override_settings(NATIVE_API={"DIALECTS": {"acme": "nowhere.Acme"}}):
        page = admin.get("/admin/native_api/provider/add/").content.decode()
        assert 'value="gemini"' in selected(page, "dialect")
        refused = admin.post("/admin/native_api/provider/add/", FORM).content.decode()
    assert "No module named &#x27;nowhere&#x27;" in refused
    assert not Provider.objects.exists()


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("setting", plugins.REGISTRIES)
def test_names_are_plain_and_none_of_the_gateways(setting: str) -> None:
    taken = next(iter(plugins.REGISTRIES[setting].built_in))
    for name in ("", "a b", "Acme", "-a", "a/b", "ä", "x" * 51, "a\n"):
        [(path, message, _)] = errors(**{setting: {name: "nowhere.Thing"}})
        assert path == f"[{setting!r}][{name!r}]"
        assert message == f"{name!r} is not a valid name"
    [(_, message, hint)] = errors(**{setting: {taken: "nowhere.Thing"}})
    assert (message, hint) == (f"the gateway itself has {taken!r}", "Choose another name.")
    [(path, message, _)] = errors(**{setting: {3: "nowhere.Thing"}})
    assert (path, message) == (f"[{setting!r}][3]", "3 is not a valid name")
    [(path, message, hint)] = errors(**{setting: [f"{HERE}.Acme"]})
    assert (path, message) == (f"[{setting!r}]", "must be a dictionary")
    assert hint.startswith("Give a dictionary: name -> dotted path to a")


@pytest.mark.parametrize("setting", plugins.REGISTRIES)
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.Thing", "No module named 'nowhere'"),
        (f"{HERE}.Nothing", f'Module "{HERE}" does not define a "Nothing" attribute/class'),
        ("plain", "plain doesn't look like a module path"),
    ],
)
def test_a_path_must_lead_somewhere(setting: str, path: str, message: str) -> None:
    [(where, found, hint)] = errors(**{setting: {"acme": path}})
    assert (where, found) == (f"[{setting!r}]['acme']", message)
    assert hint == "The path or the module that it names is wrong."


@pytest.mark.parametrize(
    ("dialect", "message", "hint"),
    [
        (Provider, "Provider is not a dialect", "Give a subclass of native_api.dialects.Dialect."),
        (None, "NoneType is not a dialect", "Give a subclass of native_api.dialects.Dialect."),
        (Misnamed, "Misnamed has the name 'complete'", "Set `name = 'acme'`."),
        (
            Unmakeable,
            "Unmakeable cannot be created: TypeError",
            "One instance serves all requests. It is created without arguments.",
        ),
        (
            variant("stream", name="acme"),
            "Variant has no stream",
            "Every dialect has these methods. See docs/extending.md.",
        ),
    ],
)
def test_a_dialect_must_be_whole(dialect: Any, message: str, hint: str) -> None:
    assert errors(DIALECTS={"acme": dialect}) == [("['DIALECTS']['acme']", message, hint)]


class Adapted(OpenAI):
    name = "adapted"

    def headers(self, chat: Any, target: Target) -> dict[str, str]:
        return {**super().headers(chat, target), "x-acme-region": "eu"}


def test_a_subclass_of_openais_dialect_takes_what_its_clients_wrote() -> None:
    """It speaks OpenAI's wire, so the body goes on, with what the subclass adds."""
    plugged_in = {"DIALECTS": {"adapted": f"{HERE}.Adapted"}}
    assert errors(**plugged_in) == []
    body: Any = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "unknown": 1}
    with override_settings(NATIVE_API=plugged_in):
        provider = build_provider("p", {"DIALECT": "adapted", "BASE_URL": "https://x/v1"})
        client_body = ClientBody("openai_chat", body, lambda: body)
        prepared = prepare(body, Target(provider, "a-model"), client_body=client_body)
    assert prepared.body == {**body, "model": "a-model"}
    assert prepared.request.headers["x-acme-region"] == "eu"


@pytest.mark.parametrize(
    ("method", "message"),
    [
        (sign_at_once, "is not an async function"),
        (Signer, "is not an async function"),
        ({"x-acme": "s"}, "is not an async function"),
        (sign_nothing, "does not take four arguments"),
    ],
)
def test_a_method_must_be_an_async_function_of_four_arguments(method: Any, message: str) -> None:
    [(path, found, hint)] = errors(AUTH_METHODS={"acme-hmac": method})
    assert (path, found) == ("['AUTH_METHODS']['acme-hmac']", message)
    assert "request, method, content" in hint


def vendor(**changes: Any) -> Preset:
    row = {"name": "vendor", "dialect": "openai", "base_url": "https://vendor.example/v1"}
    return Preset(**{**row, **changes})


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ({"dialect": "openai"}, "must be a Preset, not dict"),
        (vendor(name="other"), "the preset has the name 'other'"),
        (vendor(dialect="latin"), "unknown dialect 'latin'"),
        (vendor(auth="whisper"), "unknown auth 'whisper'"),
        (vendor(base_url=""), "no base_url"),
        (vendor(base_url=None), "base_url must be a str"),
        (vendor(quirks={"roles": {}}), "quirks must be a Quirks"),
        (vendor(options=("region",)), "options must be a Mapping"),
        (vendor(options={"region": "REGION"}), "options['region'] must be a tuple of variables"),
        (vendor(headers={"x-team": 3}), "headers['x-team'] must be a string"),
        (
            vendor(base_url="https://{region}.vendor.example"),
            "the base_url needs 'region', which options lacks",
        ),
        (
            vendor(headers={"x-team": "a", "x-api-key": "pass@"}),
            "the value of the header 'x-api-key' is a secret",
        ),
        (
            vendor(base_url="https://user:pass@vendor.example"),
            "a user name or password in the base_url is a secret",
        ),
    ],
)
def test_a_preset_must_be_usable(preset: Any, message: str) -> None:
    [(path, found, hint)] = errors(PRESETS={"vendor": preset})
    assert (path, found) == ("['PRESETS']['vendor']", message)
    assert hint
    assert "pass@" not in found + hint


def test_one_invalid_setting_does_not_make_another_one_fail() -> None:
    invalid = {**PLUGGED_IN, "DIALECTS": {"acme": "nowhere.Acme"}}
    assert [path for path, _, _ in errors(**invalid)] == ["['DIALECTS']['acme']"]
