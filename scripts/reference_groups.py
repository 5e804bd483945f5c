"""What docs/reference.md lists: the public modules by the needs of a site, with their examples and
guides. What the modules make public is their `__all__`."""

from __future__ import annotations

from typing import Final, NamedTuple


class Group(NamedTuple):
    """One need of a site.

    `guides` are pages that explain it, as link texts and targets. `examples` are files of
    docs/examples. `detailed` are classes whose own members are listed.
    """

    title: str
    text: str
    modules: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    guides: tuple[tuple[str, str], ...] = ()
    detailed: tuple[str, ...] = ()


GROUPS: Final = (
    Group(
        "Calling models from Python",
        "The views use the same functions, so routes, limits and records are the same.",
        ("native_api.gateway",),
        ("ask.py", "stream.py", "embed.py"),
        (("Calling models from Python", "extending.md#calling-models-from-python"),),
    ),
    Group(
        "Views",
        "The endpoints, and the base of all of them. Each is a view of Django REST Framework: its "
        "class attributes and methods can be overridden as the guide says, and a site can make "
        "views of its own from `NativeView`. `not_found`, `bad_request` and `server_error` are for "
        "a URLconf's `handler404`, `handler400` and `handler500`.",
        ("native_api.views",),
        ("whoami.py",),
        (("Your own views", "extending.md#your-own-views"),),
        ("native_api.views.NativeView",),
    ),
    Group(
        "Authentication and throttles",
        "Classes of Django REST Framework, which also work in a site's other views. Permission "
        "classes are DRF's own, or the site's.",
        ("native_api.authentication", "native_api.throttling"),
        ("policies.py",),
        (("Your own policies", "extending.md#your-own-policies"),),
    ),
    Group(
        "Whom a call is counted for",
        "A function of the request, named by `CALLER`, that returns a `Caller`; the default is "
        "`native_api.authentication.default_caller`.",
        guides=(("Whom a call is counted for", "extending.md#whom-a-call-is-counted-for"),),
    ),
    Group(
        "Hooks",
        "Classes named by `HOOKS`, whose methods run around every call of a model.",
        ("native_api.hooks",),
        guides=(("Hooks", "extending.md#hooks"),),
        detailed=("native_api.hooks.CallHooks", "native_api.hooks.Call"),
    ),
    Group(
        "Signals",
        "Django signals, sent after the response.",
        ("native_api.signals", "native_api.usage.entry"),
        guides=(("Signals", "extending.md#signals"),),
    ),
    Group(
        "Exceptions",
        "What the gateway raises, and what a site's views, policies and hooks may raise: a "
        "`NativeError` is answered with its status, type and code in the client's error format.",
        ("native_api.exceptions",),
        ("errors.py",),
    ),
    Group(
        "Models and API keys",
        "The models can be queried, related to and, except for records and totals, written by a "
        "site. Keys are created with the functions, which alone know a key's text.",
        ("native_api.models", "native_api.access.keys"),
        ("spending.py", "keys.py"),
    ),
    Group(
        "Formats of clients",
        "How clients speak. The serializers check a request; a format of your own, on a subclass "
        "of `InferenceView`, makes an endpoint for another API.",
        ("native_api.inbound", "native_api.operations"),
        ("question_api.py",),
        (
            (
                "An API for clients, or a kind of call",
                "extending.md#an-api-for-clients-or-a-kind-of-call",
            ),
        ),
        ("native_api.inbound.InboundFormat", "native_api.inbound.StreamWriter"),
    ),
    Group(
        "Dialects",
        "How providers are spoken to. The base classes, the dialects that the gateway has, and "
        "what several of them share.",
        ("native_api.dialects",),
        ("adapted_dialect.py",),
        (("Your own dialects", "extending.md#your-own-dialects"),),
        (
            "native_api.dialects.Dialect",
            "native_api.dialects.StreamParser",
            "native_api.dialects.StreamEditor",
        ),
    ),
    Group(
        "Presets",
        "What is known of a vendor before anybody configures it.",
        ("native_api.catalog",),
        guides=(("Your own provider presets", "extending.md#your-own-provider-presets"),),
        detailed=("native_api.catalog.Preset",),
    ),
    Group(
        "Authentication methods for providers",
        "How a key, or what is made from it, gets onto a request to a provider.",
        ("native_api.upstream.auth",),
        guides=(
            (
                "Your own authentication methods for providers",
                "extending.md#your-own-authentication-methods-for-providers",
            ),
        ),
    ),
    Group(
        "Values",
        "What the other parts exchange. Requests, replies and chunks are dictionaries in OpenAI's "
        "shape; all others are frozen dataclasses or named tuples.",
        ("native_api.types",),
        ("sent_body.py",),
        detailed=(
            "native_api.types.Caller",
            "native_api.types.Target",
            "native_api.types.Provider",
            "native_api.types.Quirks",
            "native_api.types.Timeouts",
        ),
    ),
    Group(
        "URLs and servers",
        "",
        ("native_api.urls", "native_api.asgi"),
        ("base_url.py",),
        (("Servers", "deployment.md#servers"),),
    ),
    Group(
        "Testing",
        "For a site's own tests. The pytest fixture `native_llm` gives a `ScriptedProvider`.",
        ("native_api.testing",),
        guides=(("Testing your site", "testing.md#with-pytest"),),
        detailed=("native_api.testing.ScriptedProvider", "native_api.testing.Call"),
    ),
    Group(
        "Maintenance",
        "A task of Django's, or a plain function where Django has no tasks.",
        ("native_api.tasks",),
        guides=(("As a task", "maintenance.md#as-a-task"),),
    ),
    Group(
        "Logs",
        "For `LOGGING`.",
        ("native_api.logs",),
        guides=(("Logs", "deployment.md#logs"),),
    ),
    Group("The package", "", ("native_api",), ("version.py",)),
)
"""In the order of the page."""

FREE_OF_SETTINGS: Final = (
    "native_api", "native_api.asgi", "native_api.catalog", "native_api.dialects",
    "native_api.exceptions", "native_api.hooks", "native_api.inbound", "native_api.logs",
    "native_api.operations", "native_api.signals", "native_api.types", "native_api.upstream.auth",
    "native_api.usage.entry",
)  # fmt: skip
"""Modules that can be imported before Django has its settings, so also in them."""

SETTINGS: Final = {
    "AUTH_METHODS": (
        "authentication methods for providers, by name",
        "extending.md#your-own-authentication-methods-for-providers",
    ),
    "CALLER": ("a function of the request that returns its caller", "#whom-a-call-is-counted-for"),
    "DIALECTS": ("dialects, by name", "extending.md#your-own-dialects"),
    "PRESETS": ("presets, by name", "extending.md#your-own-provider-presets"),
    "DEFAULT_AUTHENTICATION_CLASSES": ("authentication classes", "#authentication-and-throttles"),
    "DEFAULT_PERMISSION_CLASSES": (
        "permission classes of Django REST Framework",
        "extending.md#your-own-policies",
    ),
    "DEFAULT_THROTTLE_CLASSES": ("throttle classes", "#authentication-and-throttles"),
    "HOOKS": ("classes of hooks", "#hooks"),
}
"""Setting that holds dotted paths -> what they lead to, and where that is explained."""
