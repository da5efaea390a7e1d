"""Links that stand for a key without being it.

A share link leads to the read-only page of a key's balance: signed, so that nothing is stored, and ended by raising the key's
`share_version`. A claim link fetches a key that waits for somebody; only the digest of its code is kept.
"""

from __future__ import annotations

import secrets

from django.core.signing import BadSignature, Signer
from django.urls import reverse

from accounts.models import ApiKey

_SEPARATOR = "."
_LONGEST = 120

_signer = Signer(salt="accounts.links.share", sep=_SEPARATOR)


def share_token(key: ApiKey) -> str:
    """Signature, public id, version. The version stands last, as chat programs leave out a closing sign of a link."""
    value = f"{key.public_id}{_SEPARATOR}{key.share_version}"
    signature = _signer.sign(value).rpartition(_SEPARATOR)[2]
    return f"{signature}{_SEPARATOR}{value}"


def key_of(token: str) -> ApiKey | None:
    """None for a token that was not made here, one that was followed by a newer one, and a deleted key's. With what its balance
    page tells: the balances and limits of the key, its owner and their group."""
    if len(token) > _LONGEST:
        return None
    signature, _, value = token.partition(_SEPARATOR)
    try:
        public_id, _, version = _signer.unsign(f"{value}{_SEPARATOR}{signature}").partition(
            _SEPARATOR
        )
    except BadSignature:
        return None
    found = ApiKey.objects.filter(
        public_id=public_id, share_version=int(version), deleted_at__isnull=True
    )
    return found.select_related(*WITH_ITS_TERMS).first()


WITH_ITS_TERMS = (
    "balance",
    "limits",
    "owner__balance",
    "owner__limits",
    "owner__group__balance",
    "owner__group__limits",
    "owner__group__member_limits",
    "group__balance",
    "group__limits",
)
"""For select_related: all that `selectors.terms_of` reads."""


def share_link(key: ApiKey, site: str) -> str:
    """The whole address. `site` without a closing slash."""
    return f"{site}/quota/s/{share_token(key)}"


def new_claim_code() -> str:
    return secrets.token_urlsafe(24)


def claim_link(code: str, site: str) -> str:
    """The whole address. `site` without a closing slash."""
    return site + reverse("accounts:claim", args=[code])
