import time
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from credentials import services, upstream
from credentials.caps import upstream_day
from credentials.models import Contributor, Credential, DailyUse, ModelState
from credentials.services import Event, StateMove
from credentials.states import State
from credentials.upstream import Finding
from gateway.lib import jobs
from gateway.lib.audit import AuditEntry
from gateway.lib.jobs import Job
from tests.credentials.samples import (
    ACCESS_TOKEN,
    CLIENT_SECRET,
    REFRESH_TOKEN,
    api_key,
    store_key,
    store_login,
)

pytestmark = pytest.mark.django_db

POOL = "/credentials"


@pytest.fixture
def stella(client):
    """A steward at the pages."""
    user = get_user_model().objects.create_user("stella", password="rather-long", role="steward")
    client.force_login(user)
    return client


def text(response):
    assert response.status_code == 200, response
    return response.content.decode()


def attention(credential, reason):
    move = StateMove(
        credential_id=credential.pk, event=Event.ATTENTION, reason=reason, request_id="req_9"
    )
    services.apply_verdicts([move])


def test_strangers_sign_in_and_members_are_told(client):
    row = store_key()
    for path in (POOL, f"{POOL}/{row.pk}"):
        assert client.get(path).url == f"/account/login?next={path}"
    client.force_login(get_user_model().objects.create_user("max"))
    refused = client.get(POOL)
    assert refused.status_code == 403
    assert "Only operators and stewards" in refused.content.decode()
    assert client.post(f"{POOL}/{row.pk}/disable").status_code == 403
    assert client.post(f"{POOL}/bulk").status_code == 403
    assert Credential.objects.get().state == State.ACTIVE


def test_stewards_and_members_can_sign_in(client):
    get_user_model().objects.create_user("stella", password="rather-long", role="steward")
    answer = client.post(
        f"/account/login?next={POOL}", {"login": "stella", "password": "rather-long"}
    )
    assert answer.url == POOL
    assert "Credentials" in text(client.get(POOL))
    assert client.get("/admin/").status_code == 302


def test_the_top_says_who_has_to_do_what(stella):
    told = Contributor.objects.create(name="Ada", email="ada@example.org")
    rows = [store_key(number) for number in range(1, 6)]
    silent = Contributor.objects.create(name="Bea")
    for row, contributor in zip(rows, (told, silent), strict=False):
        Credential.objects.filter(pk=row.pk).update(contributor=contributor)
    attention(rows[0], "validation_required")
    attention(rows[1], "retired_by_google")
    attention(rows[2], "oauth_client")
    until = timezone.now() + timedelta(hours=1)
    ModelState.objects.create(credential=rows[3], model="pro", state="exhausted", until=until)
    page = text(stella.get(POOL))
    assert "<strong>2 of 5</strong> can serve now" in page
    assert "Needs verification" in page
    assert "You: Google refuses the OAuth client" in page
    assert "Their contributors: Google no longer serves" in " ".join(page.split())
    assert page.count("Nobody can be told") == 1
    assert "1 model rests" in page
    assert "pro" in page
    assert "rests for" not in page


def test_what_the_site_put_in_is_its_own_to_mend(stella):
    attention(store_key(1), "key_leaked")
    page = " ".join(text(stella.get(POOL)).split())
    assert "You: Google blocked the key" in page
    assert "Nobody can be told" not in page
    attention(lent := store_key(2), "key_leaked")
    silent = Contributor.objects.create(name="Bea")
    Credential.objects.filter(pk=lent.pk).update(contributor=silent)
    page = " ".join(text(stella.get(POOL)).split())
    assert "You (1) and their contributors: Google blocked the key" in page
    assert "Nobody can be told" in page


def test_a_proxy_that_fails_is_somebodys_to_mend_also_between_two_rests(stella):
    row = store_key(1)
    for until in (timezone.now() + timedelta(minutes=1), timezone.now() - timedelta(minutes=1)):
        Credential.objects.filter(pk=row.pk).update(
            state="cooling", state_reason="proxy_failed", state_until=until
        )
        page = " ".join(text(stella.get(POOL)).split())
        assert "You: Check the credential&#x27;s proxy" in page
        assert f'href="{POOL}/{row.pk}"' in text(
            stella.get(f"{POOL}?state=cooling&reason=proxy_failed")
        )


def test_large_numbers_are_readable(stella):
    row = store_key(1)
    DailyUse.objects.create(
        credential=row, day=upstream_day(time.time()), model="pro", status=200, calls=12345
    )
    assert "12,345 served" in text(stella.get(POOL))
    assert "12,345" in text(stella.get(f"{POOL}/{row.pk}"))


def test_an_empty_pool_says_how_to_begin(stella):
    page = text(stella.get(POOL))
    assert "Nothing is lent yet" in page
    assert "Nothing matches" in text(stella.get(f"{POOL}?q=nobody"))


def test_filters_and_search_are_those_of_the_api(stella):
    store_key(1, label="first-key")
    attention(store_key(2, label="second-key"), "suspended")
    page = text(stella.get(f"{POOL}?attention=true"))
    assert "second-key" in page
    assert "first-key" not in page
    assert "first-key" in text(stella.get(f"{POOL}?q=FIRST&page=77"))
    odd = stella.get(f"{POOL}?explode=1")
    assert odd.url == POOL
    assert "There is no filter" in text(stella.get(POOL))


def test_no_page_shows_a_secret(stella):
    key, login = store_key(), store_login(email="ada@example.org", project="p-one")
    services.edit(
        credential_id=login.pk,
        changes={"proxy": "socks5://joe:hush-hush@10.0.0.9:1080"},
        by="olga",
    )
    login.refresh_from_db()
    pages = "".join(
        text(stella.get(path)) for path in (POOL, *(f"{POOL}/{row.pk}" for row in (key, login)))
    )
    assert "10.0.0.9:1080" in pages
    for secret in (api_key(), ACCESS_TOKEN, REFRESH_TOKEN, CLIENT_SECRET, "hush-hush", "joe"):
        assert secret not in pages
    for sealed in (key.secret, login.secret, login.proxy):
        assert sealed.token not in pages


def test_one_credential_tells_its_story(stella):
    row = store_login(email="ada@example.org")
    Credential.objects.filter(pk=row.pk).update(contributor=Contributor.objects.create())
    attention(row, "subscription_required")
    day = upstream_day(time.time())
    DailyUse.objects.create(credential=row, day=day, model="pro", status=200, calls=41)
    DailyUse.objects.create(credential=row, day=day, model="pro", status=403, calls=3)
    page = text(stella.get(f"{POOL}/{row.pk}"))
    assert "Needs licence" in page
    assert "For its contributor:" in page
    assert "41" in page
    assert "Status 403" in page
    assert "request req_9" in page
    assert "/api/requests/req_9" not in page  # stewards may not read it
    stella.force_login(get_user_model().objects.create_superuser("olga", password="x"))
    assert "/api/requests/req_9" in text(stella.get(f"{POOL}/{row.pk}"))
    assert stella.get(f"{POOL}/{row.pk + 1}").status_code == 404


def test_buttons_act_and_say_what_came_of_it(stella, monkeypatch):
    row = store_key()
    for action, state in (("disable", "disabled"), ("enable", "active")):
        answer = stella.post(f"{POOL}/{row.pk}/{action}", follow=True)
        assert "It is" in text(answer)
        assert Credential.objects.get().state == state

    class Google:
        def check(self, ids):
            return [Finding(pk, "", "revoked", False, "Lend a new key.") for pk in ids]

    monkeypatch.setattr(upstream, "_upstream", Google())
    assert "revoked: Lend a new key." in text(stella.post(f"{POOL}/{row.pk}/test", follow=True))
    assert "Only Google accounts" in text(stella.post(f"{POOL}/{row.pk}/refresh", follow=True))
    assert stella.post(f"{POOL}/{row.pk}/explode").status_code == 404
    assert stella.get(f"{POOL}/{row.pk}/disable").status_code == 405
    stella.post(f"{POOL}/{row.pk}/withdraw")
    assert Credential.objects.get().state == State.WITHDRAWN
    page = text(stella.get(f"{POOL}/{row.pk}"))
    assert "Withdraw it now" not in page
    assert AuditEntry.objects.filter(actor="stella").count() == 4


def edited(client, row, **changes):
    page = client.get(f"{POOL}/{row.pk}")
    data = {"version": page.context["form"]["version"].value(), "label": "x", "weight": 1} | changes
    return client.post(f"{POOL}/{row.pk}/edit", data, follow=True)


def test_label_weight_tags_and_proxy_are_edited(stella):
    row = store_key()
    assert "Saved." in text(
        edited(
            stella,
            row,
            label="new",
            weight=3,
            tags="eu, fast",
            proxy="http://joe:pw@h.example:8080",
        )
    )
    row.refresh_from_db()
    assert (row.label, row.weight, row.tags) == ("new", 3, ["eu", "fast"])
    assert row.proxy.open()["url"] == "http://joe:pw@h.example:8080"
    edited(stella, row, label="newer")  # an empty field leaves the proxy as it is
    row.refresh_from_db()
    assert row.proxy
    edited(stella, row, forget_proxy="on")
    row.refresh_from_db()
    assert not row.proxy


def test_mistakes_are_told_beside_the_field_without_what_was_typed_as_proxy(stella):
    row = store_key()
    answer = edited(stella, row, proxy="gopher://joe:hush@h", tags="a;b")
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "http://host:port" in page
    assert "is no tag" in page
    assert "hush" not in page


def test_the_second_of_two_editors_is_told(stella):
    row = store_key()
    version = services.version_of(row)
    services.edit(credential_id=row.pk, changes={"weight": 7}, by="olga")
    answer = edited(stella, row, version=version, weight=2)
    assert "Somebody else changed" in answer.content.decode()
    assert Credential.objects.get().weight == 7


def test_limits_are_those_of_the_contributors_page(stella):
    row = store_key()
    good = {"calls_a_day": 50, "model_calls": "gemini-2.5-pro* 5"}
    assert "limits are saved" in text(stella.post(f"{POOL}/{row.pk}/limits", good, follow=True))
    row.refresh_from_db()
    assert (row.calls_a_day, row.model_calls_a_day) == (50, {"gemini-2.5-pro*": 5})
    bad = stella.post(f"{POOL}/{row.pk}/limits", {"calls_a_day": -1})
    assert bad.status_code == 400


def test_limits_of_a_contributor_are_only_tightened(stella):
    row = store_key(contributor_id=Contributor.objects.create().pk)
    services.set_limits(credential_id=row.pk, limits={"calls_a_day": 100})
    wide = stella.post(f"{POOL}/{row.pk}/limits", {"calls_a_day": 101}, follow=True)
    assert "Its contributor allows 100 calls a day" in text(wide)
    row.refresh_from_db()
    assert row.calls_a_day == 100
    assert "contributor set" in text(wide)
    stella.post(f"{POOL}/{row.pk}/limits", {"calls_a_day": 99})
    row.refresh_from_db()
    assert row.calls_a_day == 99


def test_hours_without_a_zone_are_shown_as_what_they_are(stella):
    """The browser would put its own zone into an empty field."""
    row = store_key()
    services.set_limits(credential_id=row.pk, limits={"hours_from": 8, "hours_to": 18})
    assert 'value="UTC"' in stella.get(f"{POOL}/{row.pk}").content.decode()


def bulk(client, **data):
    return client.post(f"{POOL}/bulk", {"scope": "all", "query": "", **data}, follow=True)


def test_all_that_match_are_counted_confirmed_and_done(stella):
    rows = [store_key(number) for number in range(1, 5)]
    for row in rows[:3]:
        attention(row, "suspended")
    asked = {"action": "disable", "query": "attention=true"}
    assert "Disable: 3 credentials" in text(bulk(stella, **asked))
    assert not Job.objects.exists()
    attention(rows[3], "suspended")
    assert "They are 4 by now" in text(bulk(stella, **asked, confirmed=3))
    assert not Job.objects.exists()
    answer = bulk(stella, **asked, confirmed=4)
    job = Job.objects.get()
    assert answer.redirect_chain[-1][0] == f"/jobs#job-{job.pk}"
    jobs.run(str(job.pk))
    assert set(Credential.objects.values_list("state", flat=True)) == {"disabled"}


def test_only_the_chosen_ones(stella):
    rows = [store_key(number) for number in range(1, 4)]
    ids = [rows[0].pk, rows[2].pk, "x"]
    asked = {"scope": "chosen", "id": ids, "action": "add_tag", "tag": "eu"}
    assert "2 credentials" in text(bulk(stella, **asked))
    bulk(stella, **asked, confirmed=2)
    jobs.run(str(Job.objects.get().pk))
    tags = Credential.objects.order_by("pk").values_list("tags", flat=True)
    assert list(tags) == [["eu"], [], ["eu"]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"action": "add_tag"}, "Name one tag"),
        ({"action": "set_weight"}, "Give a weight"),
        ({"action": "explode"}, "explode"),
        ({"action": "disable", "scope": "chosen"}, "Choose credentials first"),
        ({"action": "disable", "query": "explode=1"}, "There is no filter"),
    ],
)
def test_what_is_not_clear_is_told(stella, data, words):
    store_key()
    assert words in text(bulk(stella, **data))
    assert not Job.objects.exists()


def test_queries_do_not_grow(stella, django_assert_max_num_queries):
    contributor = Contributor.objects.create(name="Ada")
    for number in range(1, 60):
        store_key(number, contributor_id=contributor.pk)
    row = Credential.objects.first()
    for path in (POOL, f"{POOL}?attention=false&q=key", f"{POOL}/{row.pk}"):
        with django_assert_max_num_queries(25):
            stella.get(path)
