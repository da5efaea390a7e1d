"""One action on many credentials, as a job: in chunks, each a transaction of its own, so that a killed worker costs nothing
and whoever comes after it goes on behind the last chunk. Every action may be done twice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone
from msgspec import Struct

from credentials import upstream
from credentials.models import TOPIC, Credential, Provider, StateChange
from credentials.services.contributors import CAPS, LIMIT_FIELDS, LIMITS, PAUSED, RESUMED, wider
from credentials.services.editing import look_up_email
from credentials.services.verdicts import set_states
from credentials.services.withdrawal import withdraw
from credentials.states import Event, State
from gateway.lib import jobs, spans
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import GatewayError
from gateway.lib.models import bump

KIND = "credentials.bulk"
DONE = "done"
"""The outcome of what went well; every other outcome is why not, in words."""

_Params = Mapping[str, Any]
_Outcomes = Counter[str]


class Action(Struct, frozen=True):
    """`perform` gets the ids of a chunk, the parameters and who asked."""

    title: str
    perform: Callable[[Sequence[int], _Params, str], _Outcomes]
    chunk: int = 500


def begin(*, action: str, credential_ids: Sequence[int], params: _Params, by: str) -> jobs.Job:
    """`action`: a name of ACTIONS. `params`: {"tag"}, {"weight"}, {"revoke"}, or caps as in LIMIT_FIELDS."""
    ids = sorted(set(credential_ids))
    noun = "credential" if len(ids) == 1 else "credentials"
    return jobs.enqueue(
        KIND,
        title=f"{ACTIONS[action].title}: {len(ids):,} {noun}",
        params={"action": action, "ids": spans.written(ids), "params": dict(params), "by": by},
        actor=by,
        total=len(ids),
    )


def run_job(run: jobs.Run) -> None:
    ids = spans.read(run.params["ids"])
    action = ACTIONS[run.params["action"]]
    params, by = run.params["params"], run.params["by"]
    if run.params["action"] == "deduplicate":
        ids = _duplicates(ids)
    reached: int = run.job.result.get("_reached", 0)
    outcomes = Counter(run.job.result.get("outcomes", {}))
    run.total(len(ids))
    before = [pk for pk in ids if pk <= reached]
    if before:
        run.step(done=len(before), failed=outcomes.total() - outcomes[DONE])
    for chunk in _chunks([pk for pk in ids if pk > reached], action.chunk):
        got = action.perform(chunk, params, by)
        outcomes += got
        run.result(outcomes=dict(outcomes), _reached=chunk[-1])
        run.step(done=len(chunk), failed=len(chunk) - got[DONE])
    run.result(outcomes=dict(outcomes))


def _chunks(ids: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _told(ids: Sequence[int], failures: Mapping[str, int]) -> _Outcomes:
    return Counter({DONE: len(ids) - sum(failures.values())}) + Counter(failures)


_TAKEN_BACK = "taken back meanwhile"


def _decide(ids: Sequence[int], event: Event, reason: str, by: str) -> _Outcomes:
    refused = set_states(credential_ids=ids, event=event, reason=reason, by=by)
    return _told(ids, {_TAKEN_BACK: len(refused)} if refused else {})


def _enable(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    return _decide(ids, Event.ENABLED, "operator", by)


def _disable(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    return _decide(ids, Event.DISABLED, "operator", by)


def _deduplicate(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    return _decide(ids, Event.DISABLED, "duplicate", by)


def _duplicates(ids: Iterable[int]) -> list[int]:
    """Of each Google account with several rows among these all but one: the usable one, then the one connected last."""
    rows = (
        Credential.objects.exclude(email="")
        .exclude(state=State.WITHDRAWN)
        .filter(provider=Provider.CODE_ASSIST)
        .values_list("email", "state", "connected_at", "pk")
    )
    meant = set(ids)
    best: dict[str, tuple[bool, Any, int]] = {}
    found: list[int] = []
    for email, state, connected_at, pk in rows:
        if pk not in meant:
            continue
        rank = (state == State.ACTIVE, connected_at, pk)
        worse = min(rank, best.get(email, rank))
        best[email] = max(rank, best.get(email, rank))
        if worse != best[email]:
            found.append(worse[2])
    return sorted(found)


@transaction.atomic
def _update(ids: Sequence[int], event: str, by: str, rows: Any, **values: Any) -> int:
    """One change for all rows of `ids` that `rows` leaves, with a line in the history of each where `event` says so."""
    revision = bump(TOPIC)
    meant = list(rows.filter(pk__in=ids).values_list("pk", "state"))
    Credential.objects.filter(pk__in=[pk for pk, _ in meant]).update(
        **values, revision=revision, updated_at=timezone.now()
    )
    if event:
        StateChange.objects.bulk_create(
            StateChange(credential_id=pk, event=event, from_state=state, to_state=state, by=by)
            for pk, state in meant
        )
    return len(meant)


def _lent(ids: Sequence[int]) -> Any:
    return Credential.objects.filter(pk__in=ids).exclude(state=State.WITHDRAWN)


def _not_lent(ids: Sequence[int]) -> dict[str, int]:
    gone = len(ids) - _lent(ids).count()
    return {_TAKEN_BACK: gone} if gone else {}


def _pause(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    _update(ids, PAUSED, by, _lent(ids).filter(paused_at=None), paused_at=timezone.now())
    return _told(ids, _not_lent(ids))


def _resume(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    _update(ids, RESUMED, by, _lent(ids).exclude(paused_at=None), paused_at=None)
    return _told(ids, _not_lent(ids))


def _set_weight(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    _update(ids, "", by, _lent(ids), weight=params["weight"])
    return _told(ids, _not_lent(ids))


@transaction.atomic
def _set_caps(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    bump(TOPIC)  # from here on nobody else changes one
    failures = Counter(_not_lent(ids))
    meant: list[int] = []
    for row in _lent(ids).only("contributor_id", *LIMIT_FIELDS):
        if cap := wider(row, params):
            failures[f"its contributor allows less ({CAPS[cap]}): only they can allow more"] += 1
        else:
            meant.append(row.pk)
    if params:
        _update(meant, LIMITS, by, _lent(meant), **params)
    return _told(ids, failures)


@transaction.atomic
def _retag(ids: Sequence[int], change: Callable[[list[str]], list[str]]) -> _Outcomes:
    revision = bump(TOPIC)
    rows = list(_lent(ids).values_list("pk", "tags"))
    alike: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for pk, tags in rows:
        if (changed := change(tags)) != tags:
            alike[tuple(changed)].append(pk)
    for new, meant in alike.items():
        Credential.objects.filter(pk__in=meant).update(
            tags=list(new), revision=revision, updated_at=timezone.now()
        )
    gone = len(ids) - len(rows)
    return _told(ids, {_TAKEN_BACK: gone} if gone else {})


def _add_tag(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    tag = params["tag"]
    return _retag(ids, lambda tags: tags if tag in tags else [*tags, tag])


def _remove_tag(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    tag = params["tag"]
    return _retag(ids, lambda tags: [one for one in tags if one != tag])


def _test(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
    """The outcome of one that does not work is its verdict."""
    outcomes: _Outcomes = Counter()
    for finding in upstream.current().check(ids):
        outcomes[DONE if finding.usable else finding.verdict] += 1
    return outcomes


def _each(one: Callable[[int, _Params, str], str]) -> Callable[..., _Outcomes]:
    """For what asks the upstream once a credential: `one` gives "" or why it was not done."""

    def perform(ids: Sequence[int], params: _Params, by: str) -> _Outcomes:
        outcomes: _Outcomes = Counter()
        for pk in ids:
            try:
                outcomes[one(pk, params, by) or DONE] += 1
            except Credential.DoesNotExist:
                outcomes["no such credential"] += 1
            except SecretUnreadable:
                outcomes["its secret fits none of the keys"] += 1
            except GatewayError as exc:
                outcomes[exc.message] += 1
        return outcomes

    return perform


_ONLY_LOGINS = "only Google accounts have this"


def _is_login(pk: int) -> bool:
    return Credential.objects.filter(pk=pk, provider=Provider.CODE_ASSIST).exists()


def _look_up(pk: int, params: _Params, by: str) -> str:
    if not _is_login(pk):
        return _ONLY_LOGINS
    found = look_up_email(credential_id=pk)
    return "" if found.email else "Google did not tell the address"


def _discover(pk: int, params: _Params, by: str) -> str:
    if not _is_login(pk):
        return _ONLY_LOGINS
    found = upstream.current().set_up(pk)
    return "" if found.project else found.words


def _preview(pk: int, params: _Params, by: str) -> str:
    return upstream.current().enable_preview(pk) if _is_login(pk) else _ONLY_LOGINS


def _withdraw(pk: int, params: _Params, by: str) -> str:
    withdraw(credential_id=pk, revoke=params.get("revoke", False), by=by)
    return ""


ACTIONS: Mapping[str, Action] = {
    "enable": Action("Enable", _enable),
    "disable": Action("Disable", _disable),
    "pause": Action("Pause", _pause),
    "resume": Action("Resume", _resume),
    "test": Action("Test", _test, chunk=20),
    "lookup_email": Action("Look up e-mails", _each(_look_up), chunk=5),
    "discover_project": Action("Look for projects", _each(_discover), chunk=5),
    "enable_preview": Action("Join the preview channel", _each(_preview), chunk=5),
    "add_tag": Action("Add a tag", _add_tag),
    "remove_tag": Action("Remove a tag", _remove_tag),
    "set_weight": Action("Set the weight", _set_weight),
    "set_caps": Action("Set caps", _set_caps),
    "deduplicate": Action("Disable duplicates by e-mail", _deduplicate),
    "withdraw": Action("Withdraw", _each(_withdraw), chunk=50),
}
