"""How a key stands: whether it works, what is left of it, and which limits of the key, its owner and their group count.

For whoever holds the key. So it is told of keys that do not work as well: that is when somebody wants to know.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum

from django.utils import timezone
from msgspec import Struct
from msgspec.structs import replace

from accounts import keys, selectors
from accounts.links import WITH_ITS_TERMS
from accounts.models import ApiKey, Group, User
from quotas.decisions import State
from quotas.models import Balance, Limits, Lot
from quotas.periods import Period, day_of, ends_at
from quotas.selectors import terms
from quotas.terms import Account, Terms
from quotas.windows import Passed, passed

_NOBODYS_DIGEST = keys.digest_of("")


class Secret(StrEnum):
    """Which secret of a key was shown. REPLACED: of before the last rotation; REPLACING: the same, as long as it still works."""

    CURRENT = "current"
    REPLACING = "replacing"
    REPLACED = "replaced"


class Shown(Struct, frozen=True):
    """A key that somebody has shown to hold."""

    key: ApiKey
    secret: Secret

    @property
    def is_current(self) -> bool:
        return self.secret is not Secret.REPLACED


def of_secret(presented: str) -> Shown | None:
    """None for what is no key, or a deleted one. A wrong secret takes as long as a key that never was."""
    public_id = keys.public_id_of(presented)
    if public_id is None:
        return None
    key = by_public_id(public_id)
    current, previous = (key.digest, key.previous_digest) if key else ("", "")
    is_current = keys.matches(presented, current or _NOBODYS_DIGEST)
    is_previous = keys.matches(presented, previous or _NOBODYS_DIGEST)
    if key is None or not (is_current or is_previous):
        return None
    if is_current:
        return Shown(key, Secret.CURRENT)
    return Shown(key, secret_before(key))


def secret_before(key: ApiKey) -> Secret:
    """How the secret from before the last rotation is to be taken now."""
    still = key.previous_until is not None and timezone.now() < key.previous_until
    return Secret.REPLACING if still else Secret.REPLACED


def by_public_id(public_id: str) -> ApiKey | None:
    found = ApiKey.objects.filter(public_id=public_id, deleted_at=None)
    return found.select_related(*WITH_ITS_TERMS).first()


def by_id(key_id: int) -> ApiKey | None:
    return ApiKey.objects.filter(pk=key_id).select_related(*WITH_ITS_TERMS).first()


class CreditLimit(Struct, frozen=True):
    """`scope`: k, u or g; `name`: total, day, week or month. What is reserved for running calls is not left, but not used either;
    a period's `used_micros` holds both."""

    scope: str
    name: str
    limit_micros: int
    used_micros: int
    left_micros: int
    reserved_micros: int = 0
    resets_at: datetime | None = None
    time_zone: str = ""


class PaceLimit(Struct, frozen=True):
    """`name`: rpm, rpd, tpm or concurrency. A minute is any sixty seconds, so only the day's has a moment of its reset."""

    scope: str
    name: str
    limit: int
    used: int
    resets_at: datetime | None = None
    time_zone: str = ""

    @property
    def left(self) -> int:
        return max(self.limit - self.used, 0)


class Expiring(Struct, frozen=True):
    """Credits that are gone at `at` unless they were spent."""

    scope: str
    micros: int
    at: datetime


class Standing(Struct, frozen=True):
    """`total_micros` None: the key has no total limit. `left_micros`: what may be spent now by the tightest of all limits, None
    where nothing limits it; `tightest` says which it is.

    `state`: active, exhausted, paused, expired, revoked, deleted, or owner_off where the account of its owner is switched off.
    """

    key: ApiKey
    owner: User | None
    group: Group | None
    state: str
    terms: tuple[Terms, ...]
    total_micros: int | None
    granted_micros: int
    used_micros: int
    reserved_micros: int
    left_micros: int | None
    tightest: CreditLimit | None
    credits: tuple[CreditLimit, ...]
    paces: tuple[PaceLimit, ...]
    expiring: tuple[Expiring, ...]

    @property
    def works(self) -> bool:
        return self.state in ("active", "exhausted")

    @property
    def more_at(self) -> datetime | None:
        """When an exhausted key can be used again, if a period's limit holds it up."""
        waits = [limit.resets_at for limit in self.credits if limit.left_micros <= 0]
        return None if None in waits else max((at for at in waits if at), default=None)

    def allowed(self, what: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(scope, names) of those that narrow down "models", "dialects" or "networks"."""
        found = [(one.scope[0], getattr(one, f"allowed_{what}")) for one in self.terms]
        return tuple((scope, names) for scope, names in found if names)


def standing_of(key: ApiKey, *, now: datetime | None = None) -> Standing:
    """`key` as `by_public_id` reads it. Two queries more, and one for each pace."""
    now = now or timezone.now()
    owner = key.owner
    group = key.group or (owner.group if owner else None)
    terms = selectors.terms_of(key, owner, group)
    balances = {"k": key.balance}
    if owner and owner.balance:
        balances["u"] = owner.balance
    if group and group.balance:
        balances["g"] = group.balance
    credits = [
        limit
        for one in terms
        if one.account
        for limit in _credit_limits(one.scope[0], balances[one.scope[0]], one.account, now)
    ]
    tightest = min(credits, key=lambda limit: limit.left_micros, default=None)
    balance = key.balance
    return Standing(
        key=key,
        owner=owner,
        group=group,
        state=_state(key, owner, tightest, now),
        terms=terms,
        total_micros=None if balance.open_ended else balance.total_micros,
        granted_micros=balance.total_micros,
        used_micros=balance.used_micros,
        reserved_micros=balance.reserved_micros,
        left_micros=tightest.left_micros if tightest else None,
        tightest=tightest,
        credits=tuple(credits),
        paces=tuple(_pace_limits(terms, passed(terms), now)),
        expiring=tuple(_expiring(balances, now)),
    )


def own_credit_limits(key: ApiKey, now: datetime) -> list[CreditLimit]:
    """What the key itself may spend, whatever its owner may. No query where its balance and limits were read with it."""
    account = selectors.terms_of(key, None, None)[0].account
    return _credit_limits("k", key.balance, account, now) if account else []


def shared_credit_limits(user: User, now: datetime) -> list[CreditLimit]:
    """What a person's keys may spend together: by the person's own wallet and limits, and by their group's."""
    group = user.group
    theirs = group.member_limits if group else None
    holders: list[tuple[str, int, Balance | None, tuple[Limits | None, ...]]] = [
        ("u", user.pk, user.balance, (user.limits, theirs))
    ]
    if group is not None:
        holders.append(("g", group.pk, group.balance, (group.limits,)))
    found = []
    for scope, pk, balance, limits in holders:
        one = terms(f"{scope}{pk}", balance, *limits)
        if balance is not None and one.account is not None:
            found += _credit_limits(scope, balance, one.account, now)
    return found


def _state(key: ApiKey, owner: User | None, tightest: CreditLimit | None, now: datetime) -> str:
    state = key.state_at(now)
    if state != "active":
        return state
    if owner is not None and not owner.is_active:
        return "owner_off"
    return "exhausted" if tightest and tightest.left_micros <= 0 else "active"


def _credit_limits(
    scope: str, balance: Balance, account: Account, now: datetime
) -> list[CreditLimit]:
    found = []
    if not balance.open_ended:
        found.append(
            CreditLimit(
                scope,
                "total",
                balance.total_micros,
                balance.used_micros,
                balance.remaining_micros,
                reserved_micros=balance.reserved_micros,
            )
        )
    day = day_of(now.timestamp(), account.time_zone)
    state = State(
        balance.open_ended,
        balance.used_micros,
        balance.reserved_micros,
        balance.remaining_micros,
        balance.day,
        balance.day_micros,
        balance.week_micros,
        balance.month_micros,
    )
    state.turn(day)
    # A clock that was set back does not bring a day back that is over.
    day = max(day, state.day)
    periods: tuple[tuple[Period, int | None, int], ...] = (
        ("day", account.day_micros, state.day_micros),
        ("week", account.week_micros, state.week_micros),
        ("month", account.month_micros, state.month_micros),
    )
    for name, limit, used in periods:
        if limit is not None:
            found.append(
                CreditLimit(
                    scope,
                    name,
                    limit,
                    used,
                    max(limit - used, 0),
                    resets_at=_moment(ends_at(name, day, account.time_zone)),
                    time_zone=account.time_zone or "UTC",
                )
            )
    return found


def _pace_limits(
    terms: tuple[Terms, ...], counted: dict[str, Passed], now: datetime
) -> list[PaceLimit]:
    found = []
    for one in terms:
        if not one.paced:
            continue
        has = counted.get(one.scope, Passed())
        scope = one.scope[0]
        if one.rpm is not None:
            found.append(PaceLimit(scope, "rpm", one.rpm, has.requests))
        if one.tpm is not None:
            found.append(PaceLimit(scope, "tpm", one.tpm, has.tokens))
        if one.concurrency is not None:
            found.append(PaceLimit(scope, "concurrency", one.concurrency, has.running))
        if one.rpd is not None:
            day = day_of(now.timestamp(), one.time_zone)
            found.append(
                PaceLimit(
                    scope,
                    "rpd",
                    one.rpd,
                    has.calls,
                    resets_at=_moment(ends_at("day", day, one.time_zone)),
                    time_zone=one.time_zone or "UTC",
                )
            )
    return found


def _expiring(balances: dict[str, Balance], now: datetime) -> list[Expiring]:
    """Lots are told of use now and then only; what was used since goes to the one that ends first, as it will be booked."""
    scopes = {balance.pk: scope for scope, balance in balances.items()}
    unshared = {
        balance.pk: max(balance.used_micros - balance.shared_out_micros, 0)
        for balance in balances.values()
    }
    found: list[Expiring] = []
    lots = Lot.objects.filter(balance__in=list(scopes), left_micros__gt=0, expires_at__gt=now)
    for lot in lots.order_by("expires_at", "pk"):
        taken = min(unshared[lot.balance_id], lot.left_micros)
        unshared[lot.balance_id] -= taken
        left = lot.left_micros - taken
        if not left:
            continue
        one = Expiring(scopes[lot.balance_id], left, lot.expires_at)
        if found and (found[-1].scope, found[-1].at) == (one.scope, one.at):
            found[-1] = replace(found[-1], micros=found[-1].micros + left)
        else:
            found.append(one)
    return found


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
