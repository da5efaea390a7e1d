"""What is done to a key reaches every web process within a second, and nothing tells a key twice."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.e2e.gateway import Gateway, client_of
from tests.services import postgres_database, redis_database

WHOLE_KEY = re.compile(r"sk-[0-9A-Za-z]{48}")
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
WITHIN_S = 1.0
CALL = {"model": "sandbox-echo", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module", params=["postgres", "sqlite"])
def site(request, tmp_path_factory, google, postgres_url, redis_url):
    """`postgres_url` and `redis_url` say whether there are servers; this site gets databases of its own."""
    with ExitStack() as stack:
        options = {"workers": 1}
        if request.param == "postgres":
            options = {
                "workers": 3,
                "database_url": stack.enter_context(postgres_database()),
                "redis_url": stack.enter_context(redis_database()),
            }
        site = Gateway(tmp_path_factory.mktemp(request.param), google, **options)
        try:
            site.set_up()
            yield site
            leaks = site.leaks()
        finally:
            exit_code = site.stop()
        assert (exit_code, leaks) == (0, [])
        assert "Traceback" not in site.log.read_text()


@pytest.fixture
def lanes(site):
    """A client for each web process."""
    with ExitStack() as stack:
        yield [stack.enter_context(site.lane(pid)) for pid in site.web_pids()]


@pytest.fixture
def api(site):
    with site.operator() as client:

        def ask(method, path, **body):
            answer = client.request(method, f"/api/keys{path}", json=body or None)
            assert answer.status_code < 300, answer.text
            return answer.json() if answer.content else None

        yield ask


def issue(site, api, **terms):
    made = api("POST", "", **{"quota": "100", **terms})
    return made["id"], site.plant(made["api_key"])


def works(client, key):
    headers = {"authorization": f"Bearer {key}"}
    answer = client.get("/v1/models", headers=headers)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


def everywhere(lanes, key, *, expected):
    """Whether every process says so, within a second of the change."""
    deadline = time.monotonic() + WITHIN_S
    for client in lanes:
        while works(client, key) is not expected:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True


def test_a_rotated_key_and_the_one_before(site, lanes, api):
    public_id, old = issue(site, api)
    assert everywhere(lanes, old, expected=True)
    new = site.plant(api("POST", f"/{public_id}/rotate", overlap_hours=1)["api_key"])
    assert everywhere(lanes, new, expected=True)
    assert all(works(client, old) for client in lanes)
    api("POST", f"/{public_id}/end-overlap")
    assert everywhere(lanes, old, expected=False)
    assert all(works(client, new) for client in lanes)
    third = site.plant(api("POST", f"/{public_id}/rotate")["api_key"])
    assert everywhere(lanes, new, expected=False)
    assert everywhere(lanes, third, expected=True)


@pytest.mark.parametrize("how", ["disable", "revoke", "delete", "expire", "bulk"])
def test_a_key_that_was_ended(site, lanes, api, how):
    public_id, key = issue(site, api)
    assert everywhere(lanes, key, expected=True)
    if how == "delete":
        api("DELETE", f"/{public_id}")
    elif how == "expire":
        api("PATCH", f"/{public_id}", expires_at="2001-01-01T00:00:00Z")
    elif how == "bulk":
        api("POST", "/bulk", action="disable", ids=[public_id])
    else:
        api("POST", f"/{public_id}/{how}")
    assert everywhere(lanes, key, expected=False)
    if how in ("disable", "bulk"):
        api("POST", f"/{public_id}/enable")
        assert everywhere(lanes, key, expected=True)


def test_its_days_begin_once_whichever_process_is_called_first(site, lanes, api):
    public_id, key = issue(site, api, lifetime_days=3)
    headers = {"authorization": f"Bearer {key}"}

    def call(client):
        return client.post("/v1/chat/completions", json=CALL, headers=headers).status_code

    with ThreadPoolExecutor(len(lanes)) as pool:
        for _ in range(3):
            assert set(pool.map(call, lanes)) == {200}

    def begun():
        row = api("GET", f"/{public_id}")
        return row["first_used_at"] and (row["first_used_at"], row["expires_at"])

    deadline = time.monotonic() + 10
    while not (first := begun()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert first
    assert {call(client) for client in lanes} == {200}
    site.know_all_changes()
    assert begun() == first


def test_one_of_many_clicks_gets_the_key(site, api, lanes):
    [made] = api("POST", "/batch", count=1, quota="5", hand_out="claim_links")["keys"]
    link = made["claim_link"]
    path = "/claim/" + site.plant(link.rpartition("/claim/")[2])

    def click(_):
        with client_of(site.url) as client:
            token = TOKEN.search(client.get(path).text)[1]
            form = {"csrfmiddlewaretoken": token}
            headers = {"origin": site.url}
            return client.post(path, data=form, headers=headers)

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(click_or_gone(click), range(6)))
    got = [answer for answer in answers if answer is not None and answer.status_code == 200]
    assert len(got) == 1
    [key] = set(WHOLE_KEY.findall(got[0].text))
    site.plant(key)
    assert everywhere(lanes, key, expected=True)
    with client_of(site.url) as client:
        assert client.get(path).status_code == 410


def click_or_gone(click):
    """None for somebody who came when there was no form any more."""

    def tried(number):
        try:
            return click(number)
        except TypeError:
            return None

    return tried


def test_the_older_routes_tell_a_key_once(site, lanes):
    with site.operator() as client:
        made = client.post("/auth/keys", json={"total_quota": 50, "description": "old script"})
        key = site.plant(made.json()["api_key"])
        assert everywhere(lanes, key, expected=True)
        assert client.get(f"/auth/keys/{key}").json()["remaining_quota"] == 50
        assert client.get(f"/auth/keys/{key[:-1]}x").status_code == 404
        assert client.delete(f"/auth/keys/{key}").status_code == 200
        assert everywhere(lanes, key, expected=False)
        assert client.get(f"/auth/keys/{key}").status_code == 404
