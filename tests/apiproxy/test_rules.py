"""Rules as data: what matches, what a rule may never do, and what a changed set would have done."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apiproxy.rules import (
    ACTIONS,
    KINDS,
    LONGEST_REST_S,
    DryRun,
    PastError,
    Rule,
    Rulebook,
    dry_run,
    problems,
)
from apiproxy.wire.types import Fault, Verdict

NOW = 1_000_000.0
RATE = Verdict(
    fault=Fault.COOL_DOWN,
    kind="rate",
    reason="rate_limited",
    message="Quota exceeded for requests per day",
    status=429,
    until=NOW + 30,
)
PROVIDERS = ("gemini_api", "code_assist")


def rule(action="next", **fields):
    return Rule("rule 1", action, **fields)


def applied(rules, verdict=RATE, provider="gemini_api", **options):
    return Rulebook(rules).apply(verdict, provider, NOW, **options)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"provider": "gemini_api"},
        {"status": 429},
        {"kind": "rate"},
        {"reason": "rate_limited"},
        {"text": "*per day*"},
        {"text": "QUOTA exceeded*"},
        {"text": "per day"},
        {"provider": "gemini_api", "status": 429, "kind": "rate", "text": "*day"},
    ],
)
def test_what_matches(wanted):
    verdict = applied([rule(**wanted)])
    assert (verdict.fault, verdict.rule, verdict.builtin) == (Fault.NEXT_CREDENTIAL, "rule 1", RATE)
    assert verdict.explained == "rule 1: rate_limited"


@pytest.mark.parametrize(
    "wanted",
    [
        {"provider": "code_assist"},
        {"status": 403},
        {"kind": "quota"},
        {"reason": "daily_quota"},
        {"text": "per hour"},
        {"text": "per day*"},
        {"status": 429, "kind": "quota"},
    ],
)
def test_what_does_not_match_changes_nothing(wanted):
    assert applied([rule(**wanted)]) is RATE


@pytest.mark.parametrize("text", ["[retry later?]", "*[retry later?]", "quota*[retry*"])
def test_only_the_star_means_more_than_itself(text):
    quoted = msgspec.structs.replace(RATE, message="Quota exceeded: [retry later?]")
    assert applied([rule(text=text)], quoted).rule
    assert not applied([rule(text=text)]).rule


def test_a_text_full_of_stars_is_matched_at_once():
    endless = msgspec.structs.replace(RATE, message="a" * 500)
    assert not applied([rule(text="*a" * 99 + "*b")], endless).rule


def test_the_first_that_matches_decides():
    rules = [rule("rest", status=403), rule("retry", status=429), rule("disable", status=429)]
    assert applied(rules).fault is Fault.RETRY


@pytest.mark.parametrize(
    ("fields", "verdict", "until"),
    [
        ({"rest_s": 14_400}, RATE, NOW + 14_400),
        ({}, RATE, RATE.until),
        ({}, msgspec.structs.replace(RATE, until=0.0), NOW + 60),
    ],
)
def test_how_long_a_rest_is(fields, verdict, until):
    ruled = applied([rule("rest", status=429, whole=True, **fields)], verdict)
    assert (ruled.fault, ruled.until, ruled.whole) == (Fault.COOL_DOWN, until, True)


def test_only_a_rest_that_the_site_did_not_time_is_a_guess():
    guessed = msgspec.structs.replace(RATE, guessed=True)
    assert applied([rule("rest")], guessed).guessed
    assert not applied([rule("rest", rest_s=60)], guessed).guessed
    timeless = msgspec.structs.replace(RATE, fault=Fault.NEXT_CREDENTIAL, until=0.0)
    assert applied([rule("rest")], timeless).guessed


def test_a_rule_hands_the_error_to_the_client():
    assert applied([rule("return", status=429)]).fault is Fault.CLIENT_FAULT


EVERYTHING = tuple(rule(action) for action in ACTIONS)
verdicts = st.builds(
    Verdict,
    fault=st.sampled_from(Fault),
    kind=st.sampled_from(KINDS),
    reason=st.text(max_size=5),
    message=st.text(max_size=40),
    status=st.sampled_from([0, 200, 400, 401, 403, 404, 429, 500, 503]),
    until=st.sampled_from([0.0, NOW + 5]),
)
rules = st.lists(
    st.builds(
        Rule,
        name=st.just("rule 1"),
        action=st.sampled_from(ACTIONS),
        status=st.sampled_from([None, 400, 403, 429]),
        kind=st.sampled_from(["", *KINDS]),
        text=st.text(max_size=8),
        rest_s=st.integers(0, 10**6),
    ),
    max_size=4,
)


@given(rules, verdicts, st.booleans())
def test_no_rule_does_what_none_may(some, verdict, listed):
    statuses = {400, 403, 404, 429, 500}
    ruled = Rulebook((*some, *EVERYTHING), statuses).apply(
        verdict, "gemini_api", NOW, listed=listed
    )
    assert (ruled.builtin is verdict) == (ruled is not verdict)
    if ruled is verdict:
        return
    assert verdict.fault not in (Fault.OK, Fault.REFRESH)
    assert verdict.kind != "banned"
    assert (ruled.kind, ruled.reason, ruled.message) == (
        verdict.kind,
        verdict.reason,
        verdict.message,
    )
    if ruled.fault in (Fault.COOL_DOWN, Fault.DISABLE):
        assert verdict.kind not in ("client", "location")
        assert verdict.kind != "model_missing" or (listed and ruled.fault is Fault.COOL_DOWN)
    if ruled.fault is Fault.DISABLE:
        assert verdict.kind not in ("capacity", "server", "timeout", "network")
    if ruled.fault is Fault.COOL_DOWN:
        assert ruled.until > NOW


class TestAutoBan:
    def banned(self, verdict, *site_rules):
        return Rulebook(site_rules, {403, 429}).apply(verdict, "gemini_api", NOW)

    def test_a_listed_status_takes_the_credential_out(self):
        verdict = self.banned(RATE)
        assert (verdict.fault, verdict.explained) == (Fault.DISABLE, "AUTO_BAN: rate_limited")

    def test_the_sites_own_rules_come_first(self):
        assert self.banned(RATE, rule("rest", status=429)).fault is Fault.COOL_DOWN

    @pytest.mark.parametrize(
        "verdict",
        [
            msgspec.structs.replace(RATE, status=500),
            msgspec.structs.replace(RATE, fault=Fault.RETRY),
            msgspec.structs.replace(RATE, fault=Fault.CLIENT_FAULT, kind="client"),
            msgspec.structs.replace(RATE, kind="model_missing"),
            msgspec.structs.replace(RATE, fault=Fault.NEXT_CREDENTIAL, kind="location"),
        ],
    )
    def test_what_it_leaves_alone(self, verdict):
        assert self.banned(verdict) is verdict


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"action": "ban"}, "action"),
        ({"kind": "rates"}, "kind"),
        ({"provider": "openai"}, "provider"),
        ({"status": 200}, "400 and 599"),
        ({"status": 600}, "400 and 599"),
        ({"kind": "banned"}, "stays out"),
        ({"action": "rest", "kind": "client"}, "never a credential's fault"),
        ({"action": "disable", "kind": "location"}, "never a credential's fault"),
        ({"action": "disable"}, "every error"),
        ({"action": "rest", "provider": "gemini_api"}, "every error"),
        ({"action": "disable", "kind": "capacity"}, "nobody's fault"),
        ({"action": "disable", "kind": "model_missing"}, "no reason"),
        ({"action": "disable", "status": 429}, "busy minute"),
        ({"action": "disable", "status": 503}, "busy minute"),
        ({"action": "next", "rest_s": 5}, "takes a time"),
        ({"action": "disable", "status": 403, "whole": True}, "for every model"),
        ({"action": "rest", "status": 429, "rest_s": LONGEST_REST_S + 1}, "30 days"),
    ],
)
def test_a_rule_that_could_only_do_harm_is_refused_in_words(fields, word):
    said = problems(Rule(**{"name": "", "action": "next"} | fields), PROVIDERS)
    assert word in " ".join(said)


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "rest", "status": 401, "provider": "code_assist", "rest_s": 1800},
        {"action": "rest", "status": 429, "text": "*per day*", "rest_s": 14_400, "whole": True},
        {"action": "next", "status": 400},
        {"action": "next", "status": 503},
        {"action": "next", "status": 599},
        {"action": "disable", "status": 403},
        {"action": "disable", "status": 429, "reason": "no_access"},
        {"action": "return", "kind": "client"},
        {"action": "retry", "kind": "location"},
        {"action": "next", "status": 0, "kind": "network"},
    ],
)
def test_what_an_operator_may_well_want(fields):
    assert problems(Rule(**{"name": ""} | fields), PROVIDERS) == []


def past(number, credential_id, **fields):
    wanted = {
        "id": number,
        "credential_id": credential_id,
        "provider": "gemini_api",
        "model": "m",
        "status": 429,
        "kind": "rate",
        "reason": "rate_limited",
        "message": "slow down",
        "judged": "cool_down",
        "fault": "cool_down",
        "rest_s": 60,
    }
    return PastError(**wanted | fields)


class TestDryRun:
    errors = (
        past(1, 7),
        past(2, 7, message="per day"),
        past(3, 8, status=403, kind="configuration", reason="permission_denied", rest_s=1800),
        past(4, 9, status=400, kind="client", judged="client_fault", fault="client_fault"),
    )

    def test_no_change_changes_nothing(self):
        book = Rulebook([rule("rest", status=429, rest_s=5)], {403})
        assert dry_run(book, book, self.errors).changed == 0

    def test_what_a_change_would_have_done(self):
        old = Rulebook((), {403})
        new = Rulebook(
            [
                Rule("rule 1", "disable", status=429, text="per day"),
                Rule("rule 2", "rest", status=403, rest_s=60),
            ],
            {403},
        )
        found = dry_run(old, new, self.errors)
        assert (found.errors, found.changed) == (4, 2)
        assert found.changes == {("cool_down", "disable"): 1, ("disable", "cool_down"): 1}
        assert (found.disabled, found.spared) == ((7,), (8,))
        assert found.decided == {"rule 1": 1, "rule 2": 1}
        first, second = found.samples
        assert (first.error.id, first.after.rule) == (2, "rule 1")
        assert (second.before.rule, second.after.rest_s) == ("AUTO_BAN", 60)

    def test_a_longer_rest_is_a_change(self):
        new = Rulebook([rule("rest", status=429, rest_s=120)])
        assert dry_run(Rulebook(), new, self.errors).changed == 2

    def test_a_rest_for_every_model_is_a_change(self):
        one, every = (Rulebook([rule("rest", kind="rate", whole=whole)]) for whole in (False, True))
        assert dry_run(one, every, self.errors).changed == 2

    def test_no_errors_no_news(self):
        assert dry_run(Rulebook(), Rulebook([rule()]), []) == DryRun(0, 0, {}, (), (), (), {})

    def test_models_that_nobody_listed_stay_unremembered(self):
        made_up = past(1, 7, status=404, kind="model_missing", judged="next_credential", rest_s=0)
        new = Rulebook([rule("rest", kind="model_missing", rest_s=9)])
        assert dry_run(Rulebook(), new, [made_up]).changed == 0

    def test_a_thousand_errors_and_fifty_rules_are_looked_at_at_once(self):
        many = Rulebook([rule("rest", text=f"*never {n}*") for n in range(50)])
        assert dry_run(Rulebook(), many, [past(n, n) for n in range(1000)]).changed == 0
