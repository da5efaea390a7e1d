from __future__ import annotations

import hashlib

import pytest

from accounts import keys


def test_a_minted_key_is_recognised_by_its_parts():
    minted = keys.mint()
    assert len(minted.key) == 51
    assert minted.key.startswith(f"sk-{minted.public_id}")
    assert keys.public_id_of(minted.key) == minted.public_id
    assert minted.digest == hashlib.sha256(minted.key.encode()).hexdigest()


def test_keys_differ():
    minted = [keys.mint() for _ in range(200)]
    assert len({m.key for m in minted}) == len({m.public_id for m in minted}) == 200


def test_a_minted_key_hides_its_secret():
    minted = keys.mint()
    assert minted.key not in repr(minted)
    assert minted.digest not in str(minted)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-",
        "sk-" + "a" * 47,
        "sk-" + "a" * 49,
        "pk-" + "a" * 48,
        "SK-" + "a" * 48,
        "sk-" + "a" * 47 + "-",
        "sk-" + "a" * 47 + " ",
        "sk-" + "a" * 47 + "é",
        "sk-" + "a" * 47 + "٣",
        "sk-" + "a" * 47 + "\n",
    ],
)
def test_what_is_no_key_has_no_public_id(text):
    assert keys.public_id_of(text) is None


def test_only_the_key_itself_matches():
    minted = keys.mint()
    assert keys.matches(minted.key, minted.digest)
    assert not keys.matches(keys.mint().key, minted.digest)
    assert not keys.matches(minted.key[:-1], minted.digest)


def test_a_masked_key_shows_the_public_id_alone():
    assert keys.masked("abcDEF012345") == "sk-abcDEF012345…"
