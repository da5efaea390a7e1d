"""What each of Google's errors does: one row for every row of reference 2.7 and 3.7, and what our own code must make of it.

The tests play the rows (`test_judgement`, `test_state_matrix`, `e2e/test_fault_matrix`). `python -m tests.matrix` plays
them too, through the code, and prints what came out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from apiproxy.providers import PROVIDERS
from apiproxy.wire.types import Answer, Fault, Verdict
from credentials.states import Event, Standing, State, StateMove, advance, event_of
from credentials.words import explain
from tests.fakes.google_errors import ERRORS, wrap

HOUR_S = 3600.0
NOW = 1_700_000_000.0  # 14 November 2023, 14:13 in California
MIDNIGHT = 1_700_035_200.0
MODEL = "gemini-2.5-flash"

JSON_FORMS = ("object", "array", "stringified", "damaged")


@dataclass(frozen=True)
class Row:
    """`says`: the case as the reference names it. `rest_s`: None for no rest, "midnight" for the end of California's day.
    `credential`, `model`: where they stand afterwards. `status`: what a client gets when there is no other credential."""

    says: str
    fault: Fault
    kind: str
    reason: str
    status: int
    rest_s: float | str | None = None
    credential: State = State.ACTIVE
    model: State = State.ACTIVE
    help_url: str = ""

    def until(self, now: float, midnight: float) -> float:
        if self.rest_s == "midnight":
            return midnight
        return now + float(self.rest_s) if self.rest_s else 0.0


def _client(says: str, reason: str = "invalid_request", status: int = 400) -> Row:
    return Row(says, Fault.CLIENT_FAULT, "client", reason, status)


def _person(says: str, kind: str, reason: str, help_url: str = "") -> Row:
    state = State.NEEDS_ATTENTION
    return Row(says, Fault.DISABLE, kind, reason, 503, credential=state, help_url=help_url)


def _revoked(says: str) -> Row:
    return Row(says, Fault.DISABLE, "auth", "api_key_invalid", 503, credential=State.EXPIRED)


def _token(says: str) -> Row:
    """The token is refreshed once; refused again, the login is over."""
    return Row(says, Fault.REFRESH, "auth", "token_refused", 503, credential=State.EXPIRED)


def _next(says: str, kind: str, reason: str) -> Row:
    return Row(says, Fault.NEXT_CREDENTIAL, kind, reason, 503)


def _retry(says: str, kind: str, reason: str, status: int) -> Row:
    return Row(says, Fault.RETRY, kind, reason, status)


def _rest(says: str, kind: str, reason: str, rest_s: float | str, status: int = 429) -> Row:
    state = {
        "rate": State.COOLING,
        "configuration": State.COOLING,
        "model_missing": State.MISSING,
    }.get(kind, State.EXHAUSTED)
    return Row(says, Fault.COOL_DOWN, kind, reason, status, rest_s, model=state)


_LICENCE = "https://cloud.google.com/gemini/docs/codeassist/request-license"
_VALIDATION = "https://accounts.google.com/signin/continue?sarp=1&fake=1"
_ACTIVATION = (
    "https://console.developers.google.com/apis/api/cloudaicompanion.googleapis.com/overview"
    "?project=fake-project"
)

CODE_ASSIST = {
    "ca_rate_short": _rest("Short rate limit", "rate", "rate_limited", 1),
    "ca_rate_long": _rest("Long rate limit", "quota", "quota_with_reset", 4000.5),
    "ca_quota_daily": _rest("Daily quota", "quota", "daily_quota", 47941.2),
    "ca_quota_bare": _rest("Bare quota", "quota", "quota_exhausted", 4 * HOUR_S),
    "ca_quota_legacy": _rest("Legacy quota (per day)", "quota", "daily_quota", "midnight"),
    "ca_no_access": _rest("No access at all", "quota", "no_access", 12 * HOUR_S),
    "ca_no_access_violation": _rest("No access (violation)", "quota", "no_access", 12 * HOUR_S),
    "ca_capacity_429": _retry("Capacity, 429", "capacity", "capacity_exhausted", 503),
    "ca_capacity_503": _retry("Capacity, 503", "capacity", "capacity_exhausted", 503),
    "ca_capacity_exceeded": _retry("Capacity exceeded", "capacity", "capacity_exhausted", 503),
    "ca_credits": _rest("Credits", "credits", "insufficient_credits", 4 * HOUR_S),
    "ca_licence": _person("Licence missing", "licence", "subscription_required", _LICENCE),
    "ca_named_user": _person("Named user", "licence", "named_user_required"),
    "ca_validation": _person("Verification", "verification", "validation_required", _VALIDATION),
    "ca_tos": _person("ToS ban", "banned", "terms_of_service"),
    "ca_api_disabled": _person("API disabled", "configuration", "service_disabled", _ACTIVATION),
    "ca_iam": _person("Project permission (IAM)", "configuration", "permission_denied"),
    "ca_permission": _rest(
        "Project permission (plain)", "configuration", "permission_denied", 1800, 503
    ),
    "ca_bad_token": _token("Bad token"),
    "ca_credentials_missing": _token("Bad token (missing)"),
    "ca_bad_request": _client("Bad request (unknown name)"),
    "ca_not_repeating": _client("Bad request (not repeating)"),
    "ca_vertex_argument": _client("Bad request (Vertex style)"),
    "ca_location": _next("Precondition: location", "location", "unsupported_location"),
    "ca_precondition": _next("Precondition: other", "configuration", "failed_precondition"),
    "ca_model_missing": _rest("Model", "model_missing", "model_missing", 12 * HOUR_S, 404),
    "ca_server": _retry("Server", "server", "server_error", 502),
    "ca_overload": _retry("Overload", "server", "unavailable", 503),
    "ca_model_overloaded": _retry("Overload (model)", "capacity", "overloaded", 503),
    "ca_deadline": _retry("Deadline", "timeout", "deadline_exceeded", 504),
    "ca_cancelled": _retry("Cancelled", "server", "cancelled", 502),
}
GEMINI_API = {
    "api_key_invalid": _revoked("API key not valid"),
    "api_key_not_found": _revoked("API key not found"),
    "api_key_expired": _revoked("API key expired"),
    "bad_request": _client("Field violations"),
    "payload": _client("Payload too large, 400"),
    "too_large": _client("Payload too large, 413", "request_too_large", 413),
    "location": _next("Location", "location", "unsupported_location"),
    "billing": _next("Free tier not in this country", "location", "unsupported_location"),
    "bearer_refused": _person("OAuth-style credential", "configuration", "credential_type_refused"),
    "suspended": _person("Consumer suspended", "banned", "suspended"),
    "service_disabled": _person("Service disabled", "configuration", "service_disabled"),
    "service_blocked": _person("Key: service blocked", "configuration", "key_service_blocked"),
    "referrer_blocked": _person("Key: referrer blocked", "configuration", "key_referrer_blocked"),
    "ip_blocked": _person("Key: address blocked", "configuration", "key_address_blocked"),
    "leaked": _person("Key reported as leaked", "banned", "key_leaked"),
    "unregistered": _next("No key at all", "auth", "key_missing"),
    "model_missing": _rest("Model", "model_missing", "model_missing", 12 * HOUR_S, 404),
    "quota_minute": _rest("Requests per minute", "rate", "rate_limited", 56),
    "quota_tokens_minute": _rest("Tokens per minute", "rate", "rate_limited", 42),
    "quota_day": _rest("Requests per day", "quota", "daily_quota", "midnight"),
    "quota_day_paid": _rest("Requests per day, no suffix", "quota", "daily_quota", "midnight"),
    "limit_zero": _rest("limit: 0", "quota", "no_access", 12 * HOUR_S),
    "quota_bare": _rest("Bare quota", "quota", "quota_exhausted", 600),
    "cancelled": _retry("Cancelled", "server", "cancelled", 502),
    "server": _retry("Internal", "server", "server_error", 502),
    "overload": _retry("Overloaded", "capacity", "overloaded", 503),
    "high_demand": _retry("High demand", "capacity", "overloaded", 503),
    "deadline": _retry("Deadline", "timeout", "deadline_exceeded", 504),
}
MATRIX: dict[str, Row] = CODE_ASSIST | GEMINI_API

CLIENT_FAULTS = frozenset(name for name, row in MATRIX.items() if row.fault is Fault.CLIENT_FAULT)


def played(name: str, form: str = "object", now: float = NOW) -> tuple[Verdict, Standing, Standing]:
    """What the code makes of the row: the verdict, and where the credential and its model stand afterwards."""
    case = ERRORS[name]
    body = wrap(case.body(now=now, model=MODEL), form)
    answer = Answer(status=case.http, headers={}, body=body, received_at=now, model=MODEL)
    verdict = PROVIDERS[case.upstream].classify(answer)
    refused_again = verdict.fault is Fault.REFRESH
    event = Event.REVOKED if refused_again else event_of(verdict.fault.value, verdict.kind)
    credential = model = Standing()
    if event is not None:
        change = StateMove(
            credential_id=1,
            event=event,
            model=MODEL,
            reason=verdict.reason,
            until=verdict.until,
            help_url=verdict.help_url,
            whole=verdict.whole,
        )
        after = advance(Standing(), change, now)
        credential, model = (Standing(), after) if change.scope else (after, Standing())
    return verdict, credential, model


def _lines() -> Iterator[tuple[str, ...]]:
    yield (
        "row",
        "HTTP",
        "Google says",
        "kind",
        "reason",
        "state",
        "until",
        "who",
        "what the page says",
    )
    for name, row in MATRIX.items():
        verdict, credential, model = played(name)
        stands = credential if credential.state is not State.ACTIVE else model
        scope = "of the model" if stands is model and model.state is not State.ACTIVE else ""
        said = explain(stands.state, stands.reason, provider=ERRORS[name].upstream)
        rest_s = stands.until - NOW if stands.until else 0
        yield (
            name,
            str(ERRORS[name].http),
            row.says,
            verdict.kind,
            verdict.reason,
            f"{stands.state} {scope}".strip(),
            f"{rest_s:g} s" if rest_s else "",
            said.who,
            f"{said.verdict}: {said.todo}" if said.todo else said.verdict,
        )


def main() -> None:
    lines = list(_lines())
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write(text.rstrip() + "\n")


if __name__ == "__main__":
    main()
