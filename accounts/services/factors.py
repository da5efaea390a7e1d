"""Writes: codes of authenticator apps are used."""

from __future__ import annotations

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt
from django.db import transaction

_TAKEN = "taken"


@transaction.atomic
def take_code(*, authenticator: Authenticator, code: str) -> bool:
    """Whether this code, which is right now, is used for the first time, and none after it was.

    allauth asks its cache, which forgets a code after half a minute and may be that of one process; the code is good for a minute
    and a half.
    """
    row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
    secret = decrypt(row.data["secret"])
    fitting = [
        counter
        for counter in yield_hotp_counters_from_time()
        if compare_user_code(actual=code, expected=format_hotp_value(hotp_value(secret, counter)))
    ]
    if not fitting:
        return False
    counter = fitting[-1]
    # No more than can be replayed: a clock that was set back locks nobody out.
    if 0 <= row.data.get(_TAKEN, 0) - counter <= 2 * app_settings.TOTP_TOLERANCE:
        return False
    row.data[_TAKEN] = counter
    row.save(update_fields=["data"])
    return True
