"""Credits for those who lend: so many for each call that was served with what they lent.

`DailyUse.rewarded` says how many of a row's calls were rewarded; it is raised in the transaction of the entry, so a call is rewarded once
however often this runs or is killed. A call counts at the reward of the hour in which it is booked. While there is none the calls
are passed over for good, so that a reward that is switched on is not paid for the past.
"""

from __future__ import annotations

from datetime import date

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import F

from credentials.models import Contributor, Credential, DailyUse
from credentials.selectors.rewards import reward_micros, unrewarded
from gateway.lib.credits import to_text
from quotas import services as quota_services
from quotas.models import Balance, Entry

_IN_ORDER = ("credential", "day", "model", "status")
"""As batches of calls take the rows (services/uses.py): in another order the two could wait for each other."""
_ROWS = 500


def reward_contributors() -> dict[str, str | int]:
    """One entry for each credential and day that served something since the last time; what was booked, for the jobs page."""
    reward = reward_micros()
    if not reward:
        _pass_over()
        return {"calls": 0}
    due = unrewarded().order_by("credential", "day").values_list("credential", "day").distinct()
    calls = sum(_reward(credential_id, day, reward) for credential_id, day in list(due))
    return {"calls": calls, "credits": to_text(calls * reward)}


def _pass_over() -> None:
    due = list(unrewarded().order_by(*_IN_ORDER).values_list("pk", flat=True))
    for start in range(0, len(due), _ROWS):
        rows = DailyUse.objects.filter(pk__in=due[start : start + _ROWS])
        with transaction.atomic():
            list(rows.order_by(*_IN_ORDER).select_for_update().values_list("pk"))
            rows.update(rewarded=F("calls"))


@transaction.atomic
def _reward(credential_id: int, day: date, reward_micros: int) -> int:
    """How many calls were rewarded."""
    # Two runs at a time, or a change of the contributor, wait here for each other.
    credential = Credential.objects.filter(pk=credential_id).values_list("contributor", flat=True)
    contributor = Contributor.objects.select_for_update().filter(pk__in=credential).first()
    if contributor is None:
        return 0
    calls = 0
    for row in unrewarded().filter(credential=credential_id, day=day).order_by(*_IN_ORDER):
        if DailyUse.objects.filter(pk=row.pk, rewarded=row.rewarded).update(rewarded=row.calls):
            calls += row.calls - row.rewarded
    if calls:
        quota_services.move(
            balance_id=_balance_of(contributor).pk,
            amount_micros=calls * reward_micros,
            kind=Entry.Kind.REWARD,
            reason=f"{calls} call{'' if calls == 1 else 's'} served on {day} by credential {credential_id}",
        )
    return calls


def _balance_of(contributor: Contributor) -> Balance:
    """The wallet of their account here or, without one, a balance of their own."""
    if contributor.user_id is not None:
        # Also made with a person's first limit: whoever comes second takes what is there.
        person = get_user_model().objects.select_for_update().get(pk=contributor.user_id)
        if person.balance is None:
            # Open-ended: a reward is no limit to someone who had none.
            person.balance = quota_services.open_balance(label=str(person), open_ended=True)
            person.save(update_fields=["balance"])
        return person.balance
    if contributor.balance is None:
        contributor.balance = quota_services.open_balance(label=f"rewards of {contributor}")
        contributor.save(update_fields=["balance"])
    return contributor.balance
