import hashlib
import hmac

import pytest

from credentials import links, signatures
from credentials.models import Contributor

pytestmark = pytest.mark.django_db


def test_the_token_of_a_message_is_its_contributors_and_no_other():
    bob, charlie = Contributor.objects.create(), Contributor.objects.create()
    token = signatures.token_of(bob)
    assert signatures.contributor_of(token) == bob
    forged = token.replace(bob.public_id, charlie.public_id)
    assert signatures.contributor_of(forged) is None
    for nonsense in ("", ".", "x" * 500, links.token_of(bob), token + " "):
        assert signatures.contributor_of(nonsense) is None


def test_it_opens_no_page():
    bob = Contributor.objects.create()
    assert links.contributor_of(signatures.token_of(bob)) is None


def test_the_key_checks_the_body_and_ends_with_the_link():
    bob = Contributor.objects.create()
    key = signatures.signing_key(bob)
    digest = hmac.new(key.encode(), b"{}", hashlib.sha256).hexdigest()
    assert signatures.signature(bob, b"{}") == f"sha256={digest}"
    bob.link_version += 1
    assert signatures.signing_key(bob) != key
