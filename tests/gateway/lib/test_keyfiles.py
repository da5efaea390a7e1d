import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet

from gateway.lib.keyfiles import secret_from_file


def test_the_first_use_makes_a_key_only_its_owner_can_read(tmp_path):
    path = tmp_path / "new" / "encryption.key"
    secret = secret_from_file(path)
    Fernet(secret)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert secret_from_file(path) == secret


def test_all_that_start_at_once_get_the_same_key(tmp_path):
    path = tmp_path / "encryption.key"
    with ThreadPoolExecutor(16) as threads:
        secrets = set(threads.map(lambda _: secret_from_file(path), range(16)))
    assert len(secrets) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["encryption.key"]


def test_a_key_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "encryption.key"
    secret = secret_from_file(path)
    path.chmod(0o644)
    with pytest.raises(PermissionError) as raised:
        secret_from_file(path)
    assert "chmod 600" in str(raised.value)
    assert secret not in str(raised.value)
