"""What a contributor's notices are signed with: the link that ends the e-mails, and the key that proves a webhook's sender."""

from __future__ import annotations

import hashlib
import hmac

from django.core.signing import BadSignature, Signer
from django.utils.crypto import salted_hmac

from credentials.models import Contributor

SIGNATURE_HEADER = "X-Wellspring-Signature"
_LONGEST = 100

_signer = Signer(salt="credentials.signatures", sep=".")


def token_of(contributor: Contributor) -> str:
    """Ends the e-mails and opens nothing: it may stand in every one of them."""
    return _signer.sign(contributor.public_id)


def contributor_of(token: str) -> Contributor | None:
    if len(token) > _LONGEST:
        return None
    try:
        public_id = _signer.unsign(token)
    except BadSignature:
        return None
    return Contributor.objects.filter(public_id=public_id).first()


def signing_key(contributor: Contributor) -> str:
    """Derived, and another with each new link; shown on the private page."""
    value = f"{contributor.public_id}.{contributor.link_version}"
    return salted_hmac("credentials.webhook", value, algorithm="sha256").hexdigest()


def signature(contributor: Contributor, body: bytes) -> str:
    """For SIGNATURE_HEADER: "sha256=" and the HMAC of the body under the text of the key."""
    key = signing_key(contributor).encode()
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
