"""A site's own answers to upstream errors, laid over the built-in judgement (providers/judgement.py).

The first rule that matches decides; AUTO_BAN comes after all of them. Whatever a rule says:

- a client's mistake, and a place that the upstream does not serve, never cost a credential anything
- a credential the upstream banned stays out: nothing is tried with it again
- nobody's fault (capacity, server, timeout, network) may rest a credential, never take it out
- a model that a credential lacks never takes the credential out, and is not remembered unless this site lists the model
- an access token that is refused is renewed first; rules are asked when the fresh one is refused as well
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fnmatch import translate

import msgspec
from msgspec import Struct

from apiproxy.wire.types import Fault, Verdict

KINDS = (
    "auth",
    "banned",
    "capacity",
    "client",
    "configuration",
    "credits",
    "licence",
    "location",
    "model_missing",
    "network",
    "quota",
    "rate",
    "server",
    "timeout",
    "verification",
)
ACTIONS = ("next", "rest", "disable", "retry", "return")
AUTO_BAN = "AUTO_BAN"
MATCHED_CHARACTERS = 500
"""Of a message; as many are kept of it for dry runs."""
LONGEST_REST_S = 30 * 24 * 3600
SAMPLES = 20

_BLAMELESS = frozenset({"client", "location"})
_NOBODYS_FAULT = frozenset({"capacity", "server", "timeout", "network"})
_REST_S = 60.0
"""Where neither the rule nor the upstream names a time."""
# What a client's mistake, a busy minute or a broken upstream looks like: alone they say nothing about a credential.
_HARMLESS_STATUSES = frozenset({400, 404, 408, 409, 413, 429, *range(500, 600)})
_FAULTS = {
    "next": Fault.NEXT_CREDENTIAL,
    "rest": Fault.COOL_DOWN,
    "disable": Fault.DISABLE,
    "retry": Fault.RETRY,
    "return": Fault.CLIENT_FAULT,
}


class Rule(Struct, frozen=True):
    """What is empty or None matches everything. `text`: words that the message holds, or the whole of it with stars for
    anything."""

    name: str
    action: str
    provider: str = ""
    status: int | None = None
    kind: str = ""
    reason: str = ""
    text: str = ""
    rest_s: int = 0
    whole: bool = False


class PastError(Struct, frozen=True):
    """A failed attempt as it was judged before any rule. `rest_s`: what that judgement would have rested."""

    id: int
    credential_id: int
    provider: str
    model: str
    status: int
    kind: str
    reason: str
    message: str
    judged: str
    fault: str
    rest_s: int = 0


class Outcome(Struct, frozen=True):
    """`whole`: a rule rests it for every model. `rule`: the name of the one that decided, "" for the built-in judgement."""

    fault: str
    rest_s: int = 0
    whole: bool = False
    rule: str = ""


class Difference(Struct, frozen=True):
    error: PastError
    before: Outcome
    after: Outcome


class DryRun(Struct, frozen=True):
    """`changes`: how many errors went from which fault to which. `disabled`, `spared`: credentials that only the new
    rules, or only the old ones, take out."""

    errors: int
    changed: int
    changes: dict[tuple[str, str], int]
    disabled: tuple[int, ...]
    spared: tuple[int, ...]
    samples: tuple[Difference, ...]
    decided: dict[str, int]
    """How many errors each new rule decides, by name."""


class Rulebook:
    """Rules made ready: their texts are compiled once."""

    def __init__(self, rules: Iterable[Rule] = (), auto_ban_statuses: Iterable[int] = ()) -> None:
        every = (*rules, *auto_ban_rules(auto_ban_statuses))
        self._rules = tuple((rule, _pattern(rule.text)) for rule in every)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def apply(self, verdict: Verdict, provider: str, now: float, *, listed: bool = True) -> Verdict:
        """The verdict as the first rule that matches and may wants it, with the built-in one in `builtin`; else the
        same object. `now`: epoch seconds. `listed`: this site offers the model."""
        for rule, pattern in self._rules:
            if _matches(rule, pattern, verdict, provider) and _may(rule, verdict, listed=listed):
                return _ruled(rule, verdict, now)
        return verdict


def auto_ban_rules(statuses: Iterable[int]) -> tuple[Rule, ...]:
    return tuple(Rule(AUTO_BAN, "disable", status=status) for status in sorted(set(statuses)))


def problems(rule: Rule, providers: Sequence[str]) -> list[str]:
    """Why a rule must not be, in words; a rule that could only do harm is refused."""
    said = [*_misspelt(rule, providers), *_harmful(rule)]
    if rule.rest_s and rule.action != "rest":
        said.append("Only a rule that rests takes a time.")
    if rule.whole and rule.action != "rest":
        said.append("Only a rule that rests can be for every model; the others always are.")
    if rule.rest_s > LONGEST_REST_S:
        said.append("A rest lasts 30 days at most: disable the credential instead.")
    return said


def dry_run(old: Rulebook, new: Rulebook, errors: Sequence[PastError]) -> DryRun:
    differences = []
    before_out: set[int] = set()
    after_out: set[int] = set()
    decided: Counter[str] = Counter()
    for error in errors:
        before, after = _outcome(old, error), _outcome(new, error)
        decided[after.rule] += 1
        if before.fault == Fault.DISABLE:
            before_out.add(error.credential_id)
        if after.fault == Fault.DISABLE:
            after_out.add(error.credential_id)
        if msgspec.structs.replace(before, rule=after.rule) != after:
            differences.append(Difference(error, before, after))
    decided.pop("", None)
    return DryRun(
        errors=len(errors),
        changed=len(differences),
        changes=dict(Counter((d.before.fault, d.after.fault) for d in differences)),
        disabled=tuple(sorted(after_out - before_out)),
        spared=tuple(sorted(before_out - after_out)),
        samples=tuple(differences[:SAMPLES]),
        decided=dict(decided),
    )


def _outcome(rulebook: Rulebook, error: PastError) -> Outcome:
    builtin = Verdict(
        fault=Fault(error.judged),
        kind=error.kind,
        reason=error.reason,
        message=error.message,
        status=error.status,
        until=float(error.rest_s),
    )
    # What no credential has is remembered only where the site lists the model, which the judgement of that time shows.
    listed = error.kind != "model_missing" or builtin.fault is Fault.COOL_DOWN
    verdict = rulebook.apply(builtin, error.provider, 0.0, listed=listed)
    rests = verdict.fault is Fault.COOL_DOWN
    return Outcome(
        verdict.fault,
        rest_s=int(verdict.until) if rests else 0,
        whole=rests and verdict.whole,
        rule=verdict.rule,
    )


def _matches(rule: Rule, pattern: re.Pattern[str] | None, verdict: Verdict, provider: str) -> bool:
    return (
        (not rule.provider or rule.provider == provider)
        and (rule.status is None or rule.status == verdict.status)
        and (not rule.kind or rule.kind == verdict.kind)
        and (not rule.reason or rule.reason == verdict.reason)
        and (pattern is None or pattern.match(verdict.message[:MATCHED_CHARACTERS]) is not None)
    )


def _may(rule: Rule, verdict: Verdict, *, listed: bool) -> bool:
    if verdict.fault in (Fault.OK, Fault.REFRESH) or verdict.kind == "banned":
        return False
    if rule.action not in ("rest", "disable"):
        return True
    if verdict.kind in _BLAMELESS:
        return False
    if rule.name == AUTO_BAN and verdict.fault not in (Fault.COOL_DOWN, Fault.NEXT_CREDENTIAL):
        return False
    if verdict.kind == "model_missing":
        return listed and rule.action == "rest"
    return rule.action == "rest" or verdict.kind not in _NOBODYS_FAULT


def _ruled(rule: Rule, verdict: Verdict, now: float) -> Verdict:
    fault, until, guessed = _FAULTS[rule.action], verdict.until, verdict.guessed
    if fault is Fault.COOL_DOWN and rule.rest_s:
        # The site's own time is no guess: it does not grow when it was too short.
        until, guessed = now + rule.rest_s, False
    elif fault is Fault.COOL_DOWN and not until:
        until, guessed = now + _REST_S, True
    return msgspec.structs.replace(
        verdict,
        fault=fault,
        until=until,
        guessed=guessed,
        whole=verdict.whole or rule.whole,
        builtin=verdict,
        rule=rule.name,
    )


def _pattern(text: str) -> re.Pattern[str] | None:
    if not text:
        return None
    # Messages hold brackets and question marks, so only the star means something.
    glob = text.replace("[", "[[]").replace("?", "[?]")
    return re.compile(translate(glob if "*" in glob else f"*{glob}*"), re.IGNORECASE)


def _misspelt(rule: Rule, providers: Sequence[str]) -> list[str]:
    said = []
    if rule.action not in ACTIONS:
        said.append(f"The action is one of {', '.join(ACTIONS)}.")
    if rule.kind and rule.kind not in KINDS:
        said.append(f"The kind is one of {', '.join(KINDS)}, or empty for all.")
    if rule.provider and rule.provider not in providers:
        said.append(f"The provider is one of {', '.join(providers)}, or empty for all.")
    if rule.status is not None and rule.status != 0 and not 400 <= rule.status <= 599:
        said.append("The status lies between 400 and 599, or is 0 for no answer at all.")
    return said


def _harmful(rule: Rule) -> list[str]:
    said = []
    narrowed = bool(rule.kind or rule.reason or rule.text)
    if rule.kind == "banned":
        said.append("What Google banned stays out whatever a rule says: leave it to the site.")
    if rule.action in ("rest", "disable"):
        if rule.kind in _BLAMELESS:
            said.append(
                f"An error of kind {rule.kind} is never a credential's fault: take next, retry or return."
            )
        if rule.status is None and not narrowed:
            said.append("It would hit every error: name a status, a kind, a reason or a text.")
    if rule.action == "disable":
        if rule.kind in _NOBODYS_FAULT:
            said.append(
                f"An error of kind {rule.kind} is nobody's fault: take rest, next or retry."
            )
        if rule.kind == "model_missing":
            said.append("A model that a credential lacks is no reason to take it out: take rest.")
        if rule.status in _HARMLESS_STATUSES and not narrowed:
            said.append(
                f"Status {rule.status} alone may be a client's mistake or a busy minute: "
                "name a kind, a reason or a text as well."
            )
    return said
