"""The pool as a whole, for those who manage it: who has to do what, and what can be served meanwhile."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.db.models import Count, Min, Q, QuerySet
from django.utils import timezone
from msgspec import Struct

from credentials.caps import upstream_day
from credentials.filters import ATTENTION, serving
from credentials.models import Credential, DailyUse, ModelState
from credentials.selectors import usage
from credentials.states import RESTING, State
from credentials.words import OPERATOR, Words, explain

_MODELS_OF_DAYS = 7
# A rest that comes back each time it is over, until somebody mends the cause.
_RESTS_FOR_PEOPLE = Q(state__in=RESTING, state_reason="proxy_failed")


class Group(Struct, frozen=True):
    """Credentials in the same trouble. `unheard`: how many have a contributor who cannot be told: no address, or nobody
    lent it in their own name. `own`: these latter, which the site put in itself. `query`: the filter that shows them."""

    words: Words
    count: int
    query: str
    unheard: int = 0
    own: int = 0

    @property
    def ours(self) -> bool:
        """Whether those who run the site have to do it."""
        return self.words.who == OPERATOR or self.own == self.count

    @property
    def lent(self) -> int:
        return self.count - self.own

    @property
    def silent(self) -> int:
        """Of these, whose contributor cannot be told."""
        return self.unheard - self.own


class ModelLine(Struct, frozen=True):
    model: str
    usable: int
    resting: int
    back_at: datetime | None


class Census(Struct, frozen=True):
    """`lent`: all that were not taken back. `resting`, `paused`, `disabled` are parts of it that do not serve now."""

    lent: int
    usable: int
    resting: int
    paused: int
    disabled: int
    groups: tuple[Group, ...]
    models: tuple[ModelLine, ...]


def census() -> Census:
    """Who has to do what, and what can be served meanwhile. A constant number of queries."""
    lent = Credential.objects.exclude(state=State.WITHDRAWN)
    at = timezone.now()
    counts = lent.aggregate(
        lent=Count("pk"),
        usable=Count("pk", filter=serving()),
        resting=Count("pk", filter=Q(state__in=RESTING, state_until__gt=at)),
        paused=Count("pk", filter=Q(paused_at__isnull=False)),
        disabled=Count("pk", filter=Q(state=State.DISABLED)),
    )
    return Census(groups=_groups(lent), models=_models(at), **counts)


def _groups(lent: QuerySet[Credential]) -> tuple[Group, ...]:
    own = Q(contributor=None)
    unheard = own | Q(contributor__email="", contributor__webhook="")
    broken = (
        lent.filter(Q(state__in=ATTENTION) | _RESTS_FOR_PEOPLE)
        .values_list("state", "state_reason", "provider")
        .annotate(
            count=Count("pk"), unheard=Count("pk", filter=unheard), own=Count("pk", filter=own)
        )
        .order_by()
    )
    by_words: dict[Words, list[tuple[str, str, int, int, int]]] = defaultdict(list)
    for state, reason, provider, *counts in broken:
        words = explain(state, reason, provider=provider)
        by_words[words].append((state, reason, *counts))
    groups = [
        Group(
            words=words,
            count=sum(count for *_, count, _, _ in parts),
            unheard=sum(unheard for *_, unheard, _ in parts),
            own=sum(own for *_, own in parts),
            query=_query_of({(state, reason) for state, reason, *_ in parts}),
        )
        for words, parts in by_words.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-group.count, group.words.verdict)))


def _query_of(kinds: set[tuple[str, str]]) -> str:
    states = sorted({state for state, _ in kinds})
    reasons = sorted({reason or "none" for _, reason in kinds})
    return urlencode([*(("state", state) for state in states), ("reason", ",".join(reasons))])


def _models(at: datetime) -> tuple[ModelLine, ...]:
    """Of the models that were asked for lately, or that somebody rests for."""
    usable = Counter(dict(_by_provider(Credential.objects.filter(serving()))))
    served_by = _served_by()
    resting: Counter[tuple[str, str]] = Counter()
    back_at: dict[str, datetime | None] = {}
    waiting = (
        ModelState.objects.filter(state__in=RESTING, until__gt=at)
        .filter(credential__in=Credential.objects.filter(serving()))
        .values_list("model", "credential__provider")
        .annotate(Count("pk"), Min("until"))
        .order_by()
    )
    for model, provider, count, until in waiting:
        resting[model, provider] = count
        served_by[model].add(provider)
        back_at[model] = min(filter(None, (until, back_at.get(model))), default=None)
    return tuple(
        ModelLine(
            model=model,
            usable=sum(usable[name] - resting[model, name] for name in providers),
            resting=sum(resting[model, name] for name in providers),
            back_at=back_at.get(model),
        )
        for model, providers in sorted(served_by.items())
    )


def _served_by() -> defaultdict[str, set[str]]:
    """The providers of each model that was served in the last days."""
    since = upstream_day(time.time()) - timedelta(days=_MODELS_OF_DAYS)
    seen = (
        DailyUse.objects.filter(day__gte=since, status=usage.SERVED)
        .values_list("model", "credential__provider")
        .distinct()
        .order_by()
    )
    found: defaultdict[str, set[str]] = defaultdict(set)
    for model, provider in seen:
        found[model].add(provider)
    return found


def _by_provider(rows: QuerySet[Credential]) -> Iterable[tuple[str, int]]:
    return rows.values_list("provider").annotate(Count("pk")).order_by()
