"""Limits of settings and rows, read into values, and which of them bind a caller.

Rules:
1. A rule counts in a counter of its own: of its subject, metric, window and pattern, but not of its
   amount. So raising an amount forgets nothing, and two rules that differ in the amount alone count
   together; the tighter one is the one that binds.
2. A rule for each user counts each one apart, and gives way to a rule of that user's own with the
   same metric, window and pattern.
3. All rules that apply to a call must admit it: the tightest wins.
4. A pattern is compared with the name that was asked for and, for each target before it is tried,
   with the name of its route and with `provider/model`, in all spellings of each (`model_names`).
   So a limit cannot be avoided under another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from typing import Any, Final

from django.db.models.signals import post_delete, post_save

from native_api.background.cached_value import CachedValue
from native_api.conf import native_settings, setting_check, setting_path
from native_api.exceptions import ConfigurationError, DatabaseUnavailable, SettingError
from native_api.limits.windows import SECONDS
from native_api.models.limits import (
    MOST,
    MOST_OF_OTHERS,
    Limit,
    ModelAccess,
    problem_of_amount,
    units,
)
from native_api.types import Caller, model_names

KEYS: Final = frozenset({"SUBJECT", "METRIC", "AMOUNT", "WINDOW", "MODELS", "THRESHOLD"})
NEEDED: Final = ("SUBJECT", "METRIC", "AMOUNT")
MOST_REMEMBERED: Final = 10_000
"""Callers whose rules are remembered, until all rules are read again."""

SUBJECTS: Final = "'everyone', 'each_user', 'group:NAME' or 'user:NAME'"


@dataclass(frozen=True, slots=True)
class Rule:
    """One limit. `subject` is a value of Limit.Subject; `member` tells which, by id, or by name
    where it comes from settings.

    `amount` is in units: 10^-12 USD, tokens, requests. `threshold` is in percent.
    """

    subject: str
    member: int | str | None
    by_name: bool
    metric: str
    window: str
    pattern: str
    amount: int
    threshold: int
    shown: str

    @property
    def is_short(self) -> bool:
        """Whether it is counted in the cache."""
        return self.metric == "concurrent_requests" or (
            self.window in SECONDS and self.metric != "cost"
        )

    def counter(self, caller: Caller) -> str:
        member = caller.user_id if self.subject == "each_user" else self.member
        told = (self.subject, str(member), self.by_name, self.metric, self.window, self.pattern)
        return blake2b(repr(told).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    def binds(self, caller: Caller) -> bool:
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

    def displaces(self, other: Rule) -> bool:
        return self.subject == "user" and (self.metric, self.window, self.pattern) == (
            other.metric,
            other.window,
            other.pattern,
        )

    def covers(self, names: Iterable[str]) -> bool:
        """Whether it limits a call of any of these names: a route's, or `provider/model` in
        whatever spelling."""
        return not self.pattern or any(model_names.covers(self.pattern, name) for name in names)


@dataclass(frozen=True, slots=True)
class Bound:
    """A rule as it binds one caller."""

    rule: Rule
    counter: str


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of the site. `by_group`: whether callers' groups matter, for a limit or for what
    they may use."""

    rules: tuple[Rule, ...] = ()
    by_group: bool = False
    _bounds: dict[Any, tuple[Bound, ...]] = field(default_factory=dict, repr=False, compare=False)

    def bounds(self, caller: Caller) -> tuple[Bound, ...]:
        """The rules that bind the caller, one for each counter, whatever the model."""
        if not self.rules:
            return ()
        name = (caller.user_id, caller.user_name, caller.key_id, caller.groups)
        known = self._bounds.get(name)
        if known is None:
            known = self._found(caller)
            if len(self._bounds) < MOST_REMEMBERED:
                self._bounds[name] = known
        return known

    def _found(self, caller: Caller) -> tuple[Bound, ...]:
        binding = [rule for rule in self.rules if rule.binds(caller)]
        own = [rule for rule in binding if rule.subject == "user"]
        tightest: dict[str, Rule] = {}
        for rule in binding:
            if rule.subject == "each_user" and any(other.displaces(rule) for other in own):
                continue
            counter = rule.counter(caller)
            known = tightest.get(counter)
            if known is None or rule.amount < known.amount:
                tightest[counter] = rule
        return tuple(Bound(rule, counter) for counter, rule in tightest.items())


# --- reading ---------------------------------------------------------------------------------------------------


def rule_of(definition: Any) -> Rule:
    """An entry of LIMITS. Raises ConfigurationError."""
    if not isinstance(definition, Mapping):
        raise ConfigurationError(
            "it is no dictionary",
            "Such as {'SUBJECT': 'everyone', 'METRIC': 'cost', 'AMOUNT': '100', 'WINDOW': 'month'}.",
        )
    unknown = sorted(map(str, definition.keys() - KEYS))
    if unknown:
        raise ConfigurationError(
            f"unknown key {unknown[0]!r}", f"Known: {', '.join(sorted(KEYS))}."
        )
    missing = next((name for name in NEEDED if definition.get(name) is None), None)
    if missing:
        raise ConfigurationError(
            f"no {missing}", f"Give {', '.join(NEEDED)}, and WINDOW except for concurrent_requests."
        )
    metric = _one_of("METRIC", definition["METRIC"], Limit.Metric.values)
    window = definition.get("WINDOW") or ""
    if metric == "concurrent_requests":
        if window:
            raise ConfigurationError("concurrent_requests has no WINDOW", "Leave it out.")
    else:
        _one_of("WINDOW", window, Limit.Window.values)
    subject, member = _subject_of(definition["SUBJECT"])
    amount = _units(metric, _amount_of(definition["AMOUNT"]))
    pattern = definition.get("MODELS") or ""
    if not isinstance(pattern, str):
        raise ConfigurationError(f"MODELS {pattern!r} is no pattern", "Such as 'gpt-4o*'.")
    threshold = threshold_of(definition.get("THRESHOLD"))
    return Rule(
        subject,
        member,
        member is not None,
        metric,
        window,
        pattern,
        amount,
        threshold,
        str(definition["SUBJECT"]),
    )


def _one_of(name: str, value: Any, known: Iterable[str]) -> str:
    if value not in known:
        raise ConfigurationError(f"unknown {name} {value!r}", f"Known: {', '.join(known)}.")
    return str(value)


def _subject_of(told: Any) -> tuple[str, str | None]:
    subject, _, member = str(told).partition(":")
    if (subject in ("everyone", "each_user") and not member) or (
        subject in ("group", "user") and member
    ):
        return subject, member or None
    raise ConfigurationError(
        f"unknown SUBJECT {told!r}", f"It is {SUBJECTS}. Limits of keys are made in the admin."
    )


def _amount_of(told: Any) -> Decimal:
    try:
        if isinstance(told, bool | float):
            raise ValueError
        return Decimal(told)
    except (InvalidOperation, TypeError, ValueError):
        raise ConfigurationError(
            f"AMOUNT {told!r} is no amount", "Write it as a whole number, or, for cost, as '12.50'."
        ) from None


def _units(metric: str, amount: Decimal) -> int:
    problem = problem_of_amount(metric, amount)
    if problem:
        raise ConfigurationError(f"AMOUNT {problem}", "For cost it is in USD.")
    return units(metric, amount)


def threshold_of(told: Any) -> int:
    """Percent; the site's where none is told. Raises ConfigurationError."""
    value = native_settings.LIMIT_THRESHOLD if told is None else told
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 100:
        raise ConfigurationError(
            f"threshold {value!r} is no percentage", "A whole number from 1 to 100."
        )
    return value


@setting_check("LIMITS")
def limit_errors(name: str, entries: Any) -> Iterator[SettingError]:
    """What is wrong with the entries of LIMITS."""
    if not isinstance(entries, list | tuple):
        yield SettingError(setting_path(name), "must be a list", "Give a list of dictionaries.")
        return
    for index, definition in enumerate(entries):
        try:
            rule_of(definition)
        except SettingError:  # LIMIT_THRESHOLD is invalid, which has an error of its own
            return
        except ConfigurationError as error:
            yield SettingError(setting_path(name, index), error.message, error.hint)


def _of_row(row: Limit) -> Rule:
    """Rows that were not written by the admin may make no sense. They are read as the tighter of
    what they can mean; one that names nobody binds nobody."""
    member = {"group": row.group_id, "user": row.user_id, "key": row.api_key_id}.get(row.subject)
    most = MOST.get(row.metric, MOST_OF_OTHERS)
    amount = (
        units(row.metric, min(max(row.amount, Decimal(0)), most)) if row.amount.is_finite() else 0
    )
    window = row.window if row.window in Limit.Window.values else "lifetime"
    shown = f"{row.subject}:{row.member()}" if row.member() is not None else row.subject
    concurrent = row.metric == "concurrent_requests"
    threshold = threshold_of(None if row.threshold is None else min(max(row.threshold, 1), 100))
    return Rule(
        row.subject,
        member,
        False,
        row.metric,
        "" if concurrent else window,
        row.pattern,
        amount,
        threshold,
        shown,
    )


def _read() -> Rules:
    """Raises SettingError if LIMITS are invalid. An invalid limit is never ignored: requests are
    refused until it is corrected."""
    rows = Limit.objects.filter(enabled=True).select_related("group", "user", "api_key")
    found = (*map(rule_of, native_settings.LIMITS), *map(_of_row, rows))
    return Rules(
        found, any(rule.subject == "group" for rule in found) or ModelAccess.objects.exists()
    )


def _unknown() -> Rules:
    """No rule was ever read, so nobody knows what may be spent."""
    raise DatabaseUnavailable(
        "The limits cannot be read right now. Try again shortly.", headers={"retry-after": "5"}
    )


_current: Final = CachedValue("limits", _read, _unknown)
current: Final = _current.current
acurrent: Final = _current.acurrent
forget: Final = _current.forget

for _model in (Limit, ModelAccess):
    post_save.connect(forget, sender=_model)
    post_delete.connect(forget, sender=_model)
