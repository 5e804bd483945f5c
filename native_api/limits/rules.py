"""Limits from settings and rows as immutable rules, and which of them apply to a caller.

Rules:
1. A rule counts in its own counter, named after subject, metric, window and pattern, but not after
   the amount. Changing an amount loses no count. Two rules that differ only in the amount share a
   counter, and the lower amount applies.
2. A rule for each user counts every user separately. A rule of the user's own with the same metric,
   window and pattern replaces it.
3. Every rule that applies to a call must admit it: the tightest one decides.
4. A pattern is compared with the requested model name and, before each target is tried, with the
   name of its route and with `provider/model`, in all spellings (`model_names`). Using another
   alias of the model does not bypass the limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Final

from native_api.background import test_environment
from native_api.background.cached_value import CachedValue
from native_api.bounded_cache import BoundedCache
from native_api.conf import native_settings, setting_check, setting_path
from native_api.exceptions import ConfigurationError, DatabaseUnavailable, SettingError
from native_api.limits.windows import SHORT_WINDOW_SECONDS
from native_api.models.limits import (
    MAX_AMOUNTS,
    MAX_OTHER_AMOUNT,
    Limit,
    ModelAccess,
    problem_of_amount,
    units,
)
from native_api.types import Caller, model_names

REQUEST_METRICS: Final = frozenset({"requests", "concurrent_requests"})
"""Metrics that count calls, whatever these use."""

REQUIRED_KEYS: Final = ("SUBJECT", "METRIC", "AMOUNT")
KNOWN_KEYS: Final = frozenset({*REQUIRED_KEYS, "WINDOW", "MODELS", "THRESHOLD"})

MAX_CACHED_CALLERS: Final = 10_000
"""Callers whose rules are cached, until all rules are read again."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit.

    `subject` is a value of Limit.Subject. `member` identifies the group, user or key: by id, or by
    name if the rule comes from settings (`by_name`). `amount` is in units: 10^-12 USD, tokens or
    requests. `threshold` is in percent. `label` is the subject as operators see it.
    """

    subject: str
    member: int | str | None
    by_name: bool
    metric: str
    window: str
    pattern: str
    amount: int
    threshold: int
    label: str

    @property
    def is_short(self) -> bool:
        """Whether it is counted in the cache: slots and windows up to an hour, except for cost."""
        return self.metric == "concurrent_requests" or (
            self.window in SHORT_WINDOW_SECONDS and self.metric != "cost"
        )

    def counter(self, caller: Caller) -> str:
        """Return the name of the counter in which this rule counts the caller."""
        member = caller.user_id if self.subject == "each_user" else self.member
        identity = (self.subject, str(member), self.by_name, self.metric, self.window, self.pattern)
        return blake2b(repr(identity).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def applies_to(self, caller: Caller) -> bool:
        if self.subject == "everyone":
            return True
        if self.subject == "group":
            return any(self.member == (name if self.by_name else pk) for pk, name in caller.groups)
        if self.subject == "key":
            return self.member is not None and self.member == caller.key_id
        if caller.user_id is None:
            return False
        return self.subject == "each_user" or self.member == (
            caller.user_name if self.by_name else caller.user_id
        )

    def overrides(self, other: Rule) -> bool:
        """Whether this rule of one user replaces the `other` one, which is for each user."""
        return self.subject == "user" and (self.metric, self.window, self.pattern) == (
            other.metric,
            other.window,
            other.pattern,
        )

    def covers(self, names: Iterable[str]) -> bool:
        """Whether it limits a call with any of these names: a route, or `provider/model` in any
        spelling."""
        return not self.pattern or any(model_names.covers(self.pattern, name) for name in names)


@dataclass(frozen=True, slots=True)
class AppliedRule:
    """A rule as it applies to one caller, with the counter in which it counts that caller."""

    rule: Rule
    counter: str


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of the site.

    `needs_groups` says whether the groups of callers matter, for a limit or for model access.
    """

    rules: tuple[Rule, ...] = ()
    needs_groups: bool = False
    _by_caller: BoundedCache[Any, tuple[AppliedRule, ...]] = field(
        default_factory=lambda: BoundedCache(MAX_CACHED_CALLERS), repr=False, compare=False
    )

    def for_caller(self, caller: Caller) -> tuple[AppliedRule, ...]:
        """Return the rules that apply to the caller for any model, one for each counter."""
        if not self.rules:
            return ()
        identity = (caller.user_id, caller.user_name, caller.key_id, caller.groups)
        return self._by_caller.get_or_make(identity, lambda: self._select(caller))

    def _select(self, caller: Caller) -> tuple[AppliedRule, ...]:
        applicable = [rule for rule in self.rules if rule.applies_to(caller)]
        user_rules = [rule for rule in applicable if rule.subject == "user"]
        tightest: dict[str, Rule] = {}
        for rule in applicable:
            if rule.subject == "each_user" and any(own.overrides(rule) for own in user_rules):
                continue
            counter = rule.counter(caller)
            if counter not in tightest or rule.amount < tightest[counter].amount:
                tightest[counter] = rule
        return tuple(AppliedRule(rule, counter) for counter, rule in tightest.items())


# --- settings ------------------------------------------------------------------------------------


def parse_rule(definition: Any) -> Rule:
    """Parse an entry of LIMITS. Raises ConfigurationError."""
    _check_keys(definition)
    metric = _parse_choice("METRIC", definition["METRIC"], Limit.Metric.values)
    subject, member = _parse_subject(definition["SUBJECT"])
    return Rule(
        subject=subject,
        member=member,
        by_name=member is not None,
        metric=metric,
        window=_parse_window(metric, definition.get("WINDOW") or ""),
        pattern=_parse_pattern(definition.get("MODELS") or ""),
        amount=_parse_amount(metric, definition["AMOUNT"]),
        threshold=parse_threshold(definition.get("THRESHOLD")),
        label=str(definition["SUBJECT"]),
    )


def _check_keys(definition: Any) -> None:
    if not isinstance(definition, Mapping):
        raise ConfigurationError(
            "the limit must be a dictionary",
            "For example {'SUBJECT': 'everyone', 'METRIC': 'cost', 'AMOUNT': '100', "
            "'WINDOW': 'month'}.",
        )
    unknown = sorted(map(str, definition.keys() - KNOWN_KEYS))
    if unknown:
        hint = f"The known keys are {', '.join(sorted(KNOWN_KEYS))}."
        raise ConfigurationError(f"unknown key {unknown[0]!r}", hint)
    missing = next((name for name in REQUIRED_KEYS if definition.get(name) is None), None)
    if missing:
        raise ConfigurationError(
            f"{missing} is missing",
            f"Set {', '.join(REQUIRED_KEYS)}, and WINDOW unless METRIC is 'concurrent_requests'.",
        )


def _parse_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    if value not in choices:
        raise ConfigurationError(f"unknown {name} {value!r}", f"Use one of {', '.join(choices)}.")
    return str(value)


def _parse_window(metric: str, window: Any) -> str:
    if metric != "concurrent_requests":
        return _parse_choice("WINDOW", window, Limit.Window.values)
    if window:
        raise ConfigurationError("concurrent_requests must not have a WINDOW", "Remove WINDOW.")
    return ""


def _parse_subject(value: Any) -> tuple[str, str | None]:
    """Return subject and member."""
    subject, _, member = str(value).partition(":")
    if (subject in ("everyone", "each_user") and not member) or (
        subject in ("group", "user") and member
    ):
        return subject, member or None
    raise ConfigurationError(
        f"unknown SUBJECT {value!r}",
        "Use 'everyone', 'each_user', 'group:NAME' or 'user:NAME'. Limits of keys are set in the "
        "admin.",
    )


def _parse_amount(metric: str, value: Any) -> int:
    """Return the amount in units."""
    try:
        if isinstance(value, bool | float):
            raise ValueError
        amount = Decimal(value)
    except (InvalidOperation, TypeError, ValueError):
        raise ConfigurationError(
            f"AMOUNT {value!r} is not a valid amount",
            "Use a whole number, or for cost a string such as '12.50'.",
        ) from None
    problem = problem_of_amount(metric, amount)
    if problem:
        raise ConfigurationError(f"AMOUNT {problem}", "Amounts of cost are in USD.")
    return units(metric, amount)


def _parse_pattern(value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(
            f"MODELS {value!r} is not a valid pattern", "Use a string such as 'gpt-4o*'."
        )
    return value


def parse_threshold(value: Any) -> int:
    """Return a threshold in percent; LIMIT_THRESHOLD if `value` is None. Raises
    ConfigurationError."""
    threshold = native_settings.LIMIT_THRESHOLD if value is None else value
    if not isinstance(threshold, int) or isinstance(threshold, bool) or not 1 <= threshold <= 100:
        raise ConfigurationError(
            f"threshold {threshold!r} is not a valid percentage",
            "Use a whole number from 1 to 100.",
        )
    return threshold


@setting_check("LIMITS")
def limit_errors(name: str, entries: Any) -> Iterator[SettingError]:
    """Yield what is wrong with the entries of LIMITS."""
    if not isinstance(entries, list | tuple):
        yield SettingError(setting_path(name), "must be a list", "Give a list of dictionaries.")
        return
    for index, definition in enumerate(entries):
        try:
            parse_rule(definition)
        except SettingError:  # LIMIT_THRESHOLD is invalid, which has its own error
            return
        except ConfigurationError as error:
            yield SettingError(setting_path(name, index), error.message, error.hint)


# --- rows ----------------------------------------------------------------------------------------


def _rule_from_row(row: Limit) -> Rule:
    """Rows that the admin did not write may be invalid. They are read as the tightest rule that
    they can mean; one without a member applies to nobody."""
    member = {"group": row.group_id, "user": row.user_id, "key": row.api_key_id}.get(row.subject)
    window = row.window if row.window in Limit.Window.values else "lifetime"
    return Rule(
        subject=row.subject,
        member=member,
        by_name=False,
        metric=row.metric,
        window="" if row.metric == "concurrent_requests" else window,
        pattern=row.pattern,
        amount=_clamped_amount(row),
        threshold=parse_threshold(
            None if row.threshold is None else min(max(row.threshold, 1), 100)
        ),
        label=f"{row.subject}:{row.member()}" if row.member() is not None else row.subject,
    )


def _clamped_amount(row: Limit) -> int:
    if not row.amount.is_finite():
        return 0
    maximum = MAX_AMOUNTS.get(row.metric, MAX_OTHER_AMOUNT)
    return units(row.metric, min(max(row.amount, Decimal(0)), maximum))


# --- the current rules ---------------------------------------------------------------------------


def _read() -> Rules:
    """Read settings and rows.

    Raises SettingError if LIMITS are invalid. An invalid limit is never ignored: requests are
    refused until it is corrected.
    """
    rows = Limit.objects.filter(enabled=True).select_related("group", "user", "api_key")
    rules = (*map(parse_rule, native_settings.LIMITS), *map(_rule_from_row, rows))
    has_group_rule = any(rule.subject == "group" for rule in rules)
    return Rules(rules, has_group_rule or ModelAccess.objects.exists())


def _without_database() -> Rules:
    """No rules were ever read, so nobody knows what may be spent. A test without a database has the
    limits of the settings."""
    if test_environment.is_database_forbidden():
        return Rules(tuple(map(parse_rule, native_settings.LIMITS)))
    raise DatabaseUnavailable(
        "The limits cannot be read right now. Try again shortly.", headers={"retry-after": "5"}
    )


_current: Final = CachedValue("limits", _read, _without_database)
current: Final = _current.current
acurrent: Final = _current.acurrent
forget: Final = _current.forget
clear: Final = _current.clear
