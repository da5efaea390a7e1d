"""Nothing that was lent or issued lies in clear anywhere."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import redis

from tests.e2e import crawl
from tests.e2e.contributor import Contributor
from tests.e2e.dialects import GEMINI, OPENAI, ask
from tests.e2e.processes import eventually
from tests.e2e.searching import Eavesdropper, leaks_in
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


def test_no_secret_passes_or_is_shown_while_people_lend(gateway, google):
    """Lending, importing, exporting, failing, telling, taking back: no message, no page and no answer holds a secret."""
    gateway.lend()
    started = Eavesdropper(gateway.data_dir, gateway.redis_url)
    with started as messages, gateway.operator() as panel:
        token = panel.post("/auth/login", json={"password": gateway.panel_password}).json()["token"]
        gateway.plant(token)
        webhook = gateway.plant("https://hooks.example/services/T0PLANTED/webhook-secret")
        with Contributor(gateway) as bob, Contributor(gateway) as eve:
            _lend_in_every_way(gateway, bob, eve, webhook)
            _bring_in_and_take_out(gateway, panel)
            said = _let_it_fail(gateway, panel)
            gateway.hand("tell_contributors")
            _jobs_end(panel)
            mine = list(crawl.pages(bob.http, "/auth/mine"))
            loan = bob.lent()[0]
            bob.post(f"{loan}/withdraw", revoke="yes")
            mine += crawl.pages(bob.http, "/auth/mine")
            mine += [
                ("flow", bob.get(bob.flow).content),
                ("flow as JSON", repr(bob.state()).encode()),
            ]
            links = {bob.link(), eve.link()}
            seen = [*said, *_all_that_staff_can_read(gateway, panel)]
        _jobs_end(panel)
    gateway.plant_issued()
    gateway.planted |= {
        call.body["code_verifier"] for call in google.calls("token") if "code_verifier" in call.body
    }
    assert len(seen) > 50
    assert leaks_in(mine, gateway.planted) == []
    # A contributor's link opens their page: only they may see it.
    gateway.planted |= {link.rpartition("/")[2] for link in links}
    assert leaks_in(seen, gateway.planted) == []
    heard = list(messages.heard())
    assert len(heard) > 5
    assert leaks_in(heard, gateway.planted) == []
    gateway.settled()
    assert gateway.leaks() == []


def _lend_in_every_way(gateway, bob, eve, webhook):
    login = gateway.login(client=gateway.oauth_client)
    gateway.google.consent_as = login["email"]
    assert bob.lends_google(name="Bob", email="bob@example.com", webhook=webhook)["state"] == "done"
    # A code that Google refuses, and an attempt that nobody goes on with.
    bob.begin()
    assert bob.paste(bob.consents().replace("0Fake", "0Wrong"))["state"] == "failed"
    bob.begin()
    bob.consents()
    assert bob.lends_keys(gateway.api_key(), gateway.api_key(known=False))["state"] == "done"
    retired = gateway.login(client=gateway.oauth_client, state="unsupported_client")
    gateway.google.consent_as = retired["email"]
    assert eve.lends_google(webhook=webhook + "/eve")["state"] == "done"


def _bring_in_and_take_out(gateway, panel):
    files = [
        (
            f"{form.__name__}.json",
            json.dumps(form(gateway.login(client=gateway.oauth_client))).encode(),
        )
        for form in FORMATS
    ]
    sent = [("files", file) for file in files]
    previews = [panel.post("/api/imports", files=sent).json() for _ in range(3)]
    assert (
        panel.post(f"/api/imports/{previews[0]['id']}/confirm", json={"test": True}).status_code
        == 202
    )
    assert panel.post(f"/api/imports/{previews[1]['id']}/cancel").status_code == 200
    assert panel.post("/auth/upload", files=sent).status_code in (200, 400)
    password = gateway.plant("zip-password-of-the-tests")
    answer = panel.post(
        "/api/credentials/export",
        json={"format": "wellspring", "password": password, "filter": {}},
    )
    assert answer.status_code == 200, answer.text
    again = panel.post(
        "/api/imports", files={"files": ("b.zip", answer.content)}, data={"password": password}
    )
    assert again.status_code == 201, again.text


def _let_it_fail(gateway, panel):
    """A proxy with a password that nobody answers at, and every action on every credential; what was answered."""
    secret = gateway.plant("proxy-password-of-the-tests")
    rows = panel.get("/api/credentials").json()["results"]
    said = []
    for row in rows:
        path = f"/api/credentials/{row['id']}"
        proxy = f"socks5://user:{secret}@127.0.0.1:9"
        said.append(panel.patch(path, json={"proxy": proxy}))
        actions = ("test", "refresh", "lookup_email", "discover_project", "read_quota")
        said += [panel.post(f"{path}/{action}", json={}) for action in actions]
    asked = {"action": "test", "filter": {}, "expected": len(rows)}
    said.append(panel.post("/api/credentials/bulk", json=asked))
    assert not [answer for answer in said if answer.status_code == 500]
    return [(str(answer.url), answer.content) for answer in said]


def _jobs_end(panel):
    def over():
        states = {
            job["state"]
            for job in panel.get("/api/jobs", params={"periodic": False}).json()["results"]
        }
        return not states & {"queued", "running"}

    eventually(over, "every job ends", 60)


def _all_that_staff_can_read(gateway, panel):
    yield from crawl.answers(panel)
    for path in ("/creds/status", "/usage/stats", "/usage/aggregated", "/auth/env-creds-status"):
        yield path, panel.get(path).content
    for role in ("operator", "steward"):
        with crawl.sign_in(gateway.url, *gateway.person(role)) as client:
            starts = ["/", "/credentials", "/jobs", "/credentials/import", "/credentials/rules"]
            starts += ["/system", "/credentials/export", "/admin/"] if role == "operator" else []
            yield from crawl.pages(client, *starts)


def test_the_search_finds_what_is_in_clear(gateway):
    """Else the test above would prove nothing."""
    gateway.planted.add("planted-description")
    gateway.key(1, description="planted-description")
    try:
        assert "database: planted-desc…" in gateway.leaks()
    finally:
        gateway.planted.discard("planted-description")


def test_the_search_sees_through_spellings():
    secret = "4/0Planted+secret/of the tests"
    spelt = {
        "as it is": secret,
        "URL": quote(secret, safe=""),
        "JSON": json.dumps({"code": secret}),
        "base64 of JSON": base64.b64encode(json.dumps([secret]).encode()).decode(),
    }
    for how, text in spelt.items():
        assert leaks_in([(how, f"before {text} after".encode())], {secret}), how
    assert leaks_in([("nothing", b"before after")], {secret}) == []


def test_the_eavesdropper_hears_files_and_redis(tmp_path, redis_url):
    with Eavesdropper(tmp_path, redis_url) as heard, redis.Redis.from_url(redis_url) as client:

        def both():
            (tmp_path / "1.queue.msg").write_text("planted-in-a-file")
            client.set("planted", "planted-in-redis", px=50)
            said = b"".join(content for _, content in heard.heard())
            return b"planted-in-a-file" in said and b"planted-in-redis" in said

        eventually(both, "both are heard")
