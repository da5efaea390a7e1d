import pytest
from cryptography.fernet import Fernet

from gateway.lib import crypto

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_what_is_encrypted_comes_back():
    token = crypto.encrypt("秘密", [NEW])
    assert "秘密" not in token
    assert crypto.decrypt(token, [NEW]) == "秘密"


def test_an_older_key_still_decrypts_and_the_first_one_encrypts():
    old_token = crypto.encrypt("text", [OLD])
    assert crypto.decrypt(old_token, [NEW, OLD]) == "text"
    new_token = crypto.encrypt("text", [NEW, OLD])
    assert crypto.decrypt(new_token, [NEW]) == "text"


def test_reencrypting_moves_the_text_to_the_newest_key():
    token = crypto.reencrypt(crypto.encrypt("text", [OLD]), [NEW, OLD])
    assert crypto.decrypt(token, [NEW]) == "text"


@pytest.mark.parametrize("use", [crypto.decrypt, crypto.reencrypt])
def test_a_missing_key_is_said_without_the_secret(use):
    token = crypto.encrypt("text", [OLD])
    with pytest.raises(crypto.SecretUnreadable) as raised:
        use(token, [NEW])
    assert "ENCRYPTION_KEYS" in str(raised.value)
    assert token not in str(raised.value)


def test_a_token_changed_by_one_character_is_unreadable():
    token = crypto.encrypt("text", [NEW])
    changed = token[:40] + ("A" if token[40] != "A" else "B") + token[41:]
    with pytest.raises(crypto.SecretUnreadable):
        crypto.decrypt(changed, [NEW])
