"""Notices to contributors: opened when there is something to tell, closed when it is over, and delivered by e-mail and webhook."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db.models import Q, QuerySet
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from credentials import links, notices, signatures
from credentials.caps import UPSTREAM_ZONE, upstream_day
from credentials.models import Contributor, Credential, Notice, Provider, StateChange
from credentials.notices import Facts
from credentials.services.leftovers import masked_identity
from credentials.services.refreshing import oauth_client_of
from credentials.states import Event, State
from gateway.lib import outward
from gateway.lib.crypto import SecretUnreadable

logger = logging.getLogger(__name__)

EMAIL, WEBHOOK = "email", "webhook"
_EVIDENCE = timedelta(days=60)
_DISPROOFS = 200
_LONGEST_S = 60.0
_ACCESS_LIFE = timedelta(hours=1)
_DAY = timedelta(days=1)

_ENOUGH_MAIL = "three e-mails a day are enough; you get it by e-mail tomorrow."

Post = Callable[..., None]


def notify_due(*, now: datetime | None = None, post: Post = outward.post_json) -> int:
    """Looks what there is to tell and tells it, for a minute; how many notices went out. What was told is not told again."""
    now = now or timezone.now()
    _renew(now)
    deadline = time.monotonic() + _LONGEST_S
    told = 0
    for contributor, waiting in _waiting(now).items():
        told += _tell(contributor, waiting, now, post)
        if time.monotonic() > deadline:
            break
    return told


# What there is to tell


def _renew(now: datetime) -> None:
    facts = _facts(now)
    wanted = {(pk, kind) for pk, one in facts.items() for kind in notices.kinds_of(one)}
    open_ones = {
        (row.credential_id, row.kind): row
        for row in Notice.objects.filter(closed_at=None)
        .exclude(kind__in=notices.ONCE)
        .only("credential_id", "kind", "sent_at")
    }
    over = [row for key, row in open_ones.items() if key not in wanted]
    _close(over, now)
    _open(_without_recent_advice(wanted - set(open_ones), now), facts, now)
    _open(_back([row for row in over if row.sent_at], facts), facts, now)
    _open(_withdrawn(now), facts, now)
    _close(Notice.objects.filter(_told_once(now), closed_at=None), now)


def _told_once(now: datetime) -> Q:
    old = Q(created_at__lte=now - notices.ONCE_FOR)
    return Q(kind__in=notices.ONCE) & (old | Q(sent_at__isnull=False, error=""))


def _close(rows: Iterable[Notice], now: datetime) -> None:
    Notice.objects.filter(pk__in=[row.pk for row in rows], closed_at=None).update(closed_at=now)


def _open(keys: Iterable[tuple[int, str]], facts: dict[int, Facts], now: datetime) -> None:
    keys = sorted(keys)
    rows = Credential.objects.in_bulk({pk for pk, _ in keys})
    Notice.objects.bulk_create(
        [
            Notice(
                credential=rows[pk],
                kind=kind,
                words=notices.words_of(kind, masked_identity(rows[pk]), _facts_of(rows[pk], facts)),
                created_at=now,
                try_at=now,
            )
            for pk, kind in keys
            if pk in rows
        ],
        ignore_conflicts=True,
    )


def _facts_of(row: Credential, facts: dict[int, Facts]) -> Facts:
    return facts.get(row.pk) or Facts(row.provider, row.state, row.state_reason)


def _without_recent_advice(keys: set[tuple[int, str]], now: datetime) -> set[tuple[int, str]]:
    told = Notice.objects.filter(
        kind__in=notices.ADVICE, created_at__gt=now - notices.ADVICE_EVERY
    ).values_list("credential_id", "kind")
    return keys - set(told)


def _back(over: list[Notice], facts: dict[int, Facts]) -> Iterator[tuple[int, str]]:
    """Those whose trouble they were told of, and that serve again."""
    told = {row.credential_id for row in over if notices.is_told_by_state(row.kind)} - set(facts)
    serving = Credential.objects.filter(pk__in=told, state=State.ACTIVE, paused_at=None)
    for pk in serving.values_list("pk", flat=True):
        yield pk, notices.BACK


def _withdrawn(now: datetime) -> Iterator[tuple[int, str]]:
    """Those whose receipt is complete."""
    rows = Credential.objects.filter(
        state=State.WITHDRAWN,
        withdrawn_at__gt=now - notices.ONCE_FOR,
        secret_destroyed_at__isnull=False,
        contributor__isnull=False,
    )
    told = dict(
        Notice.objects.filter(kind=notices.WITHDRAWN, credential__in=rows)
        .order_by("created_at")
        .values_list("credential_id", "created_at")
    )
    for pk, withdrawn_at in rows.values_list("pk", "withdrawn_at"):
        if pk not in told or (withdrawn_at and told[pk] < withdrawn_at):
            yield pk, notices.WITHDRAWN


def _facts(now: datetime) -> dict[int, Facts]:
    """Of the loans there is something to tell about. A constant number of queries."""
    used_up = _used_up(now)
    ends_at = _ending(now)
    unused = _unused(now)
    meant = Q(state__in=[State.NEEDS_ATTENTION, State.EXPIRED]) | Q(
        pk__in=[*used_up, *ends_at, *unused]
    )
    rows = _lent().filter(meant).values_list("pk", "provider", "state", "state_reason")
    return {
        pk: Facts(
            provider=provider,
            state=state,
            reason=reason,
            login_ends_at=ends_at.get(pk),
            unused_since=unused.get(pk),
            used_up=pk in used_up,
        )
        for pk, provider, state, reason in rows
    }


def _lent() -> QuerySet[Credential]:
    return Credential.objects.filter(contributor__isnull=False).exclude(state=State.WITHDRAWN)


def _used_up(now: datetime) -> set[int]:
    """Those whose quota ran out three days in a row."""
    today = upstream_day(now.timestamp())
    days: dict[int, set[date]] = defaultdict(set)
    for back in range(notices.DAYS_USED_UP + 1):
        day = today - timedelta(days=back)
        for pk in _ran_out(day):
            days[pk].add(day)
    return {pk for pk, found in days.items() if notices.used_up(found, today)}


def _ran_out(day: date) -> QuerySet[StateChange, int]:
    """On that day of the upstream's."""
    begin, end = (
        datetime.combine(one, clock.min, ZoneInfo(UPSTREAM_ZONE)) for one in (day, day + _DAY)
    )
    return (
        StateChange.objects.filter(to_state=State.EXHAUSTED, at__gte=begin, at__lt=end)
        .exclude(reason="contributor_reserve")
        .filter(credential__contributor__isnull=False)
        .order_by()
        .values_list("credential_id", flat=True)
        .distinct()
    )


def _unused(now: datetime) -> dict[int, datetime]:
    """Logins that nobody refreshed for long. A refresh renews `updated_at`; so does an edit, hence the second look."""
    cutoff = now - notices.UNUSED_AFTER
    quiet = Q(updated_at__lt=cutoff) | Q(state=State.DISABLED)
    rows = (
        _lent()
        .filter(quiet, provider=Provider.CODE_ASSIST, connected_at__lt=cutoff)
        .exclude(state=State.EXPIRED)
    )
    found = {}
    for row in rows.iterator():
        last = max(row.connected_at, _refreshed_at(row) or row.connected_at)
        if last < cutoff:
            found[row.pk] = last
    return found


def _refreshed_at(row: Credential) -> datetime | None:
    try:
        expires_at = row.secret.open().get("expires_at") or 0
    except SecretUnreadable:
        return None
    if not expires_at:
        return None
    return datetime.fromtimestamp(float(expires_at), tz=UTC) - _ACCESS_LIFE


def _ending(now: datetime) -> dict[int, datetime]:
    """Logins that are about to reach the age at which another of the same client ended."""
    young = _lent().filter(
        provider=Provider.CODE_ASSIST,
        connected_at__gt=now - notices.TESTING_LIFE,
        connected_at__lte=now - notices.TESTING_LIFE + notices.ENDS_SOON,
    )
    near = {
        row.pk: (_client_of(row), row.connected_at)
        for row in young.exclude(state__in=[State.EXPIRED, State.DISABLED])
    }
    if not near:
        return {}
    testing = _clients_in_testing(now)
    found = {}
    for pk, (client, connected_at) in near.items():
        ends_at = notices.ends_soon(connected_at, now)
        if client in testing and ends_at is not None:
            found[pk] = ends_at
    return found


def _clients_in_testing(now: datetime) -> set[str]:
    ended = list(
        StateChange.objects.filter(
            event=Event.REVOKED,
            to_state=State.EXPIRED,
            at__gte=now - _EVIDENCE,
            credential__provider=Provider.CODE_ASSIST,
        ).select_related("credential")
    )
    if not ended:
        return set()
    connected = _connections({row.credential_id for row in ended})
    suspects = {
        _client_of(row.credential)
        for row in ended
        if notices.was_in_testing(_connected_before(row, connected), row.at)
    } - {""}
    return suspects - _clients_of_old_logins(now) if suspects else set()


def _connections(credential_ids: set[int]) -> dict[int, list[datetime]]:
    found: dict[int, list[datetime]] = defaultdict(list)
    for pk, at in StateChange.objects.filter(
        credential_id__in=credential_ids, event=Event.RECONNECTED
    ).values_list("credential_id", "at"):
        found[pk].append(at)
    return found


def _connected_before(ended: StateChange, connected: dict[int, list[datetime]]) -> datetime:
    before = [at for at in connected[ended.credential_id] if at < ended.at]
    row = ended.credential
    if row.connected_at < ended.at:
        before.append(row.connected_at)
    return max(before, default=row.created_at)


def _clients_of_old_logins(now: datetime) -> set[str]:
    """A login that lives on after a week says that its client is not in testing."""
    old = Credential.objects.filter(
        provider=Provider.CODE_ASSIST, connected_at__lt=now - notices.TESTING_SEEN[1]
    ).exclude(state__in=[State.EXPIRED, State.WITHDRAWN, State.DISABLED])
    return {_client_of(row) for row in old.order_by("-connected_at")[:_DISPROOFS]}


def _client_of(row: Credential) -> str:
    try:
        secret = row.secret.open()
    except SecretUnreadable:
        return ""
    return oauth_client_of(secret)[0] if secret else ""


# Telling it


def _waiting(now: datetime) -> dict[Contributor, list[Notice]]:
    """What is due, by whom it is for. Someone who can be told in no way finds it on the page."""
    reachable = ~Q(credential__contributor__webhook="")
    if settings.EMAIL_CONFIGURED:
        reachable |= ~Q(credential__contributor__email="")
    rows = (
        Notice.objects.filter(reachable, closed_at=None, try_at__lte=now)
        .filter(Q(sent_at=None) | ~Q(error=""))
        .filter(credential__contributor__isnull=False)
        .select_related("credential__contributor")
        # Who keeps us waiting in vain comes after those who have not been tried yet.
        .order_by("attempts", "created_at", "pk")
    )
    found: dict[Contributor, list[Notice]] = defaultdict(list)
    for row in rows:
        if row.credential.contributor is not None:
            found[row.credential.contributor].append(row)
    return found


def _tell(contributor: Contributor, waiting: list[Notice], now: datetime, post: Post) -> int:
    by_email = [row for row in waiting if _lacks(row, EMAIL, contributor)]
    by_webhook = [row for row in waiting if _lacks(row, WEBHOOK, contributor)]
    free_at = _next_mail(contributor, now) if by_email else now
    claimed = [row for row in waiting if _claim(row, now)]
    failures: dict[int, str] = {}
    mailed = [row for row in claimed if row in by_email]
    if free_at > now:
        failures.update({row.pk: _ENOUGH_MAIL for row in mailed})
    else:
        _mail(contributor, mailed, failures)
    _call(contributor, [row for row in claimed if row in by_webhook], failures, post)
    for row in claimed:
        _record(row, failures.get(row.pk, ""), now, wait_until=free_at)
    return sum(not failures.get(row.pk) for row in claimed)


def _lacks(row: Notice, channel: str, contributor: Contributor) -> bool:
    return channel in _channels_of(contributor) and channel not in row.channels


def _channels_of(contributor: Contributor) -> list[str]:
    channels = [EMAIL] if contributor.email and settings.EMAIL_CONFIGURED else []
    return [*channels, WEBHOOK] if contributor.webhook else channels


def _next_mail(contributor: Contributor, now: datetime) -> datetime:
    """Now, unless there were three within a day; what waits then goes out together. Counted by address: it may be a
    stranger's, and whoever wrote it here can be as many contributors as they like."""
    mailed = Notice.objects.filter(
        credential__contributor__email__iexact=contributor.email,
        channels__contains=EMAIL,
        sent_at__gt=now - _DAY,
    )
    messages = mailed.order_by().values_list("credential__contributor_id", "sent_at").distinct()
    sent = sorted(at for _, at in messages if at)
    return now if len(sent) < notices.MAILS_A_DAY else sent[-notices.MAILS_A_DAY] + _DAY


def _claim(row: Notice, now: datetime) -> bool:
    """Of two workers one gets it. If that one dies it is tried again, so a notice may come twice, but is never lost."""
    taken = Notice.objects.filter(
        pk=row.pk, attempts=row.attempts, closed_at=None, try_at__lte=now
    ).update(attempts=row.attempts + 1, try_at=now + notices.retry_after(row.attempts))
    return bool(taken)


def _mail(contributor: Contributor, rows: list[Notice], failures: dict[int, str]) -> None:
    """All of a contributor's in one message."""
    if not rows:
        return
    try:
        _message(contributor, rows).send()
    except SMTPRecipientsRefused:
        trouble = "the mail server refuses your address."
    except (SMTPException, OSError) as exc:
        logger.warning("no notices could be mailed: %s", type(exc).__name__)
        trouble = "the mail server could not be reached; it is tried again."
    except ValueError:
        trouble = "no mail can be sent to your address."
    else:
        for row in rows:
            row.channels = _joined(row.channels, EMAIL)
        return
    failures.update({row.pk: trouble for row in rows})


def _message(contributor: Contributor, rows: list[Notice]) -> EmailMultiAlternatives:
    site = settings.PUBLIC_URL
    context = {
        "notices": rows,
        "kind": rows[0].kind if len(rows) == 1 else "",
        "link": links.link_of(contributor, site) if site else "",
        "no_more": _unsubscribe_url(contributor) if site else "",
    }
    headers = {}
    if site:
        headers = {
            "List-Unsubscribe": f"<{context['no_more']}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        }
    subject = render_to_string("credentials/mail/notices_subject.txt", context)
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string("credentials/mail/notices.txt", context),
        to=[contributor.email],
        headers=headers,
    )
    message.attach_alternative(
        render_to_string("credentials/mail/notices.html", context), "text/html"
    )
    return message


def _unsubscribe_url(contributor: Contributor) -> str:
    path = reverse("credentials:unsubscribe", args=[signatures.token_of(contributor)])
    return f"{settings.PUBLIC_URL}{path}"


def _call(
    contributor: Contributor, rows: list[Notice], failures: dict[int, str], post: Post
) -> None:
    """One after the other. After one that failed the rest is not tried now: a slow address would hold up everybody else."""
    trouble = ""
    for row in rows:
        trouble = trouble or _post(contributor, row, post)
        if trouble:
            failures[row.pk] = trouble
        else:
            row.channels = _joined(row.channels, WEBHOOK)


def _post(contributor: Contributor, row: Notice, post: Post) -> str:
    """What went wrong, in words; "" when it was delivered."""
    try:
        url = contributor.webhook.open()["url"]
        post(
            url,
            _payload(contributor, row),
            private_hosts=settings.FETCH_PRIVATE_HOSTS,
            headers_of=lambda body: {
                signatures.SIGNATURE_HEADER: signatures.signature(contributor, body)
            },
        )
    except SecretUnreadable:
        return "the address of your webhook cannot be read at the moment."
    except (outward.Refused, outward.Undelivered) as exc:
        return f"your webhook {exc}."
    return ""


def _payload(contributor: Contributor, row: Notice) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "credential": masked_identity(row.credential),
        "words": row.words,
        "link": links.link_of(contributor, settings.PUBLIC_URL) if settings.PUBLIC_URL else "",
        "at": row.created_at.isoformat(),
    }


def _joined(channels: str, channel: str) -> str:
    return ", ".join(filter(None, [channels, channel]))


def _record(row: Notice, trouble: str, now: datetime, *, wait_until: datetime) -> None:
    told = Notice.objects.filter(pk=row.pk)
    told.exclude(channels=row.channels).update(channels=row.channels, sent_at=now)
    told.update(error=trouble)
    if trouble == _ENOUGH_MAIL:
        told.update(try_at=wait_until)
