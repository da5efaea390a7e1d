"""Nothing that was lent or issued lies in clear anywhere."""

from __future__ import annotations

import json

from tests.e2e.dialects import GEMINI, OPENAI, ask
from tests.e2e.test_credentials import FORMATS
from tests.fakes.google_errors import ERRORS


def test_no_secret_lies_in_clear(gateway, google, http, tmp_path):
    """After imports in every format, answers, refreshes, each of Google's errors and bad keys in every place."""
    for form in FORMATS:
        file = tmp_path / f"{form.__name__}.json"
        file.write_text(json.dumps(form(gateway.login(client=gateway.oauth_client))))
    (tmp_path / "keys.txt").write_text("\n".join(gateway.api_key() for _ in range(3)))
    gateway.manage("import_credentials", str(tmp_path))
    key = gateway.key()
    printed = gateway.manage("create_key", "--quota", "100", "--json")["key"]
    gateway.planted.add(printed)
    for dialect in (OPENAI, GEMINI):
        assert ask(http, dialect, printed).status_code == 200
        for presented in (key, printed, printed[:-1] + "x"):
            http.post(dialect.path(), json=dialect.body(), params={"key": presented})
            http.get("/v1/models", params={"key": presented})
            http.get("/nowhere", params={"key": presented})
    for provider in ("gemini_api", "code_assist"):
        rows = [name for name, case in ERRORS.items() if case.upstream == provider]
        pool = gateway.lend(*[provider] * len(rows))
        for lent, name in zip(pool, rows, strict=True):
            google.script("error", credential=lent.name, error=name, key=lent.name)
        while not all(google.calls(credential=lent.name) for lent in pool):
            ask(http, OPENAI, key)
    [lent] = gateway.lend("code_assist")
    google.clear_scripts()
    google.expire(lent.name)
    assert ask(http, OPENAI, key).status_code == 200
    # Fresh tokens of Google's are secrets as well.
    gateway.planted.update(google.access_tokens(lent.email))
    gateway.settled()
    assert gateway.leaks() == []


def test_the_search_finds_what_is_in_clear(gateway):
    """Else the test above would prove nothing."""
    gateway.planted.add("planted-description")
    gateway.key(1, description="planted-description")
    try:
        assert "database: planted-desc…" in gateway.leaks()
    finally:
        gateway.planted.discard("planted-description")
