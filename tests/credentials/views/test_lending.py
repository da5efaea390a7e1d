import io
import logging
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from credentials import links, services
from credentials.models import Contributor, Credential, Flow
from credentials.services import flows
from gateway.lib.jobs import Job
from tests.credentials.google import code_in, google_behind, person, say_yes
from tests.credentials.samples import api_key, store_key, store_login

pytestmark = pytest.mark.django_db

HOST = {"HTTP_HOST": "gateway.example.org"}
CODE = "invitation-code-1"


@pytest.fixture
def fake(settings):
    with google_behind(settings) as fake:
        yield fake


@pytest.fixture
def browser() -> Client:
    return Client(enforce_csrf_checks=False, headers={"host": "gateway.example.org"})


def ask(browser, **changes):
    return browser.post("/auth", {"kind": "google", "consent": "on"} | changes)


def flow_at(browser, response) -> Flow:
    assert response.status_code == 303, response.content.decode()
    return Flow.objects.get(pk=response["Location"].rpartition("/")[2])


def begin(browser) -> tuple[Flow, str, str]:
    """The flow, its page, and the address of Google's consent page as the page shows it."""
    response = ask(browser)
    flow = flow_at(browser, response)
    page = response["Location"]
    text = browser.get(page).content.decode()
    return flow, page, re.search(r'href="([^"]*/o/oauth2/[^"]*)"', text)[1].replace("&amp;", "&")


def finish(flow: Flow) -> Flow:
    flows.see_through_here(flow_id=flow.pk)
    flow.refresh_from_db()
    return flow


def text_of(response) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


# ------------------------------------------------------------------ the page


def test_the_page_says_what_it_means_and_asks_for_consent(browser, settings):
    settings.GOOGLE_OAUTH_CLIENT_ID = "c"
    text = text_of(browser.get("/auth"))
    for said in (
        "risk is yours",
        "What is stored",
        "take it back",
        "Google account",
        "Gemini API key",
    ):
        assert said in text
    response = browser.post("/auth", {"kind": "google"})
    assert response.status_code == 422
    assert "tick the box if you agree" in text_of(response)
    # At the top too: on a phone the box is far below.
    assert "missing or wrong" in text_of(response).split("<h1")[0]
    assert not Flow.objects.exists()


def test_without_an_oauth_client_google_accounts_wait_for_the_operator_and_keys_work(
    browser, settings
):
    settings.GOOGLE_OAUTH_CLIENT_ID = ""
    assert "GOOGLE_OAUTH_CLIENT_ID" in text_of(browser.get("/auth"))
    response = ask(browser)
    assert response.status_code == 422
    assert "GOOGLE_OAUTH_CLIENT_ID" in text_of(response)
    assert flow_at(browser, ask(browser, kind="api_key", keys=api_key())).kind == "api_key"


@pytest.mark.parametrize(
    "path", ["/auth", "/auth/link/x", "/auth/callback?state=abcdefghij&code=4/0x"]
)
def test_nobody_keeps_the_pages_or_is_told_their_address(browser, path):
    response = browser.get(path)
    assert response["Cache-Control"] == "no-store"
    assert response["Referrer-Policy"] in ("same-origin", "no-referrer")


def test_forms_are_guarded_against_other_sites(settings):
    strict = Client(enforce_csrf_checks=True)
    response = strict.post("/auth", {"kind": "google", "consent": "on"})
    assert response.status_code == 403
    assert "allow cookies for this site" in text_of(response)


def test_it_takes_few_queries(browser, django_assert_max_num_queries):
    with django_assert_max_num_queries(3):
        browser.get("/auth")


# ------------------------------------------------------------------ who may lend


def test_by_invitation(browser, settings, fake):
    settings.LENDING, settings.LENDING_INVITE_CODES = "invite", ["other", CODE]
    assert "Invitation code" in text_of(browser.get("/auth"))
    assert ask(browser).status_code == 422
    wrong = ask(browser, invite="wrong")
    assert wrong.status_code == 422
    assert "does not fit" in text_of(wrong)
    assert "wrong" not in str(Flow.objects.values())
    assert ask(browser, invite=f" {CODE} ").status_code == 303


def test_wrong_codes_are_counted(browser, settings, fake):
    settings.LENDING, settings.LENDING_INVITE_CODES = "invite", [CODE]
    settings.LENDING_ATTEMPTS_PER_HOUR = 3
    for _ in range(3):
        assert ask(browser, invite="wrong").status_code == 422
    response = ask(browser, invite=CODE)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 3000
    assert "too many attempts" in text_of(response)


def test_an_invitation_without_any_code_lets_nobody_in(browser, settings, fake):
    settings.LENDING, settings.LENDING_INVITE_CODES = "invite", [""]
    assert ask(browser, invite="").status_code == 422
    assert ask(browser, invite=" ").status_code == 422


def test_members_only(browser, settings, fake):
    settings.LENDING = "members"
    response = browser.get("/auth")
    assert response.status_code == 403
    assert "Sign in" in text_of(response)
    assert ask(browser).status_code == 403
    bob = User.objects.create_user("bob", role=User.Role.MEMBER)
    browser.force_login(bob)
    person(fake)
    flow, _, consent = begin(browser)
    flows.accept(flow_id=flow.pk, code=code_in(say_yes(consent)), by_state=True)
    finish(flow)
    assert Contributor.objects.get().user == bob
    assert Credential.objects.get().contributor.user == bob


def test_a_contributor_needs_no_new_code(browser, settings, fake):
    settings.LENDING, settings.LENDING_INVITE_CODES = "invite", [CODE]
    browser.get(f"/auth/link/{links.token_of(Contributor.objects.create())}")
    assert "Invitation code" not in text_of(browser.get("/auth"))
    assert ask(browser).status_code == 303


# ------------------------------------------------------------------ from consent to verdict


def test_on_another_machine_the_address_is_pasted(browser, fake):
    person(fake)
    flow, page, consent = begin(browser)
    address = say_yes(consent)
    assert address.startswith("http://localhost:7861/auth/callback?")
    assert "a page that cannot be opened" in text_of(browser.get(page))
    assert browser.post(page, {"pasted": f"  <{address}>\n"}).status_code == 303
    flow.refresh_from_db()
    assert flow.state == Flow.State.EXCHANGING
    assert "Asking Google" in text_of(browser.get(page))
    finish(flow)
    response = browser.get(page)
    text = text_of(response)
    assert "it works" in text
    assert "alice@example.org" in text
    contributor = Contributor.objects.get()
    assert f"http://gateway.example.org/auth/link/{links.token_of(contributor)}" in text
    cookie = response.cookies[links.COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/auth")


@pytest.mark.parametrize("host", ["localhost:7861", "127.0.0.1:8123", "[::1]:7861", "localhost"])
def test_on_the_gateways_own_machine_the_browser_comes_back(fake, host):
    browser = Client(headers={"host": host})
    person(fake)
    flow, page, consent = begin(browser)
    address = say_yes(consent)
    assert address.startswith(f"http://{host}/auth/callback?")
    assert "You come back by yourself" in text_of(browser.get(page))
    response = browser.get(address.removeprefix(f"http://{host}"))
    assert (response.status_code, response["Location"]) == (303, page)
    assert response["Referrer-Policy"] == "no-referrer"
    assert finish(flow).state == Flow.State.DONE


def test_the_browser_is_told_apart_by_a_cookie_that_scripts_cannot_read(browser, fake):
    cookie = ask(browser).cookies["wellspring_lending"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/auth")
    assert cookie.value not in str(Flow.objects.values())


def test_the_state_of_another_browser_is_refused(browser, fake):
    person(fake)
    flow, _, consent = begin(browser)
    address = say_yes(consent).removeprefix("http://localhost:7861")
    mallory = Client()
    response = mallory.get(address)
    assert response.status_code == 403
    assert "another browser" in text_of(response)
    flow.refresh_from_db()
    assert flow.state == Flow.State.PENDING
    # Nor by pasting it into an attempt of one's own: that would lend in somebody else's name.
    _, page, _ = begin(mallory)
    mallory.post(page, {"pasted": address})
    assert "another browser" in text_of(mallory.get(page))
    flow.refresh_from_db()
    assert flow.state == Flow.State.PENDING


def test_a_page_of_another_browser_is_not_shown(browser, fake):
    _, page, _ = begin(browser)
    response = Client().get(page)
    assert response.status_code == 404
    assert "another browser" in text_of(response)
    assert Client().get(page, headers={"accept": "application/json"}).status_code == 404
    assert Client().post(page, {"project": "x"}).status_code == 404


def test_the_answer_to_another_attempt_of_the_same_browser_is_taken_there(browser, fake):
    person(fake)
    first, first_page, consent = begin(browser)
    _, second_page, _ = begin(browser)
    response = browser.post(second_page, {"pasted": say_yes(consent)})
    assert response["Location"] == first_page
    assert finish(first).state == Flow.State.DONE


@pytest.mark.parametrize(
    ("pasted", "step", "said"),
    [
        ("", "reading what you pasted", "nothing in the box"),
        ("hello", "reading what you pasted", "no code in this"),
        ("http://gateway.example.org/auth", "reading what you pasted", "address of this site"),
        ("http://localhost/?error=access_denied", "consent at Google", "not allowed"),
        (f"http://localhost/?state={'x' * 43}&code=4/0abcdefgh", "matching it", "is over"),
    ],
)
def test_which_step_failed_is_said_and_the_page_waits_on(browser, fake, pasted, step, said):
    person(fake)
    flow, page, consent = begin(browser)
    browser.post(page, {"pasted": pasted})
    text = text_of(browser.get(page))
    assert step in text
    assert said in text
    browser.post(page, {"pasted": say_yes(consent)})
    assert finish(flow).state == Flow.State.DONE


def test_a_denied_consent_on_the_own_machine_is_said(fake):
    browser = Client(headers={"host": "localhost:7861"})
    person(fake)
    fake.script("consent_denied")
    _, page, consent = begin(browser)
    browser.get(say_yes(consent).removeprefix("http://localhost:7861"))
    assert "access was not allowed" in text_of(browser.get(page))


def test_an_address_that_fits_nothing_is_explained_and_counted(browser, settings):
    settings.LENDING_ATTEMPTS_PER_HOUR = 1
    response = browser.get("/auth/callback?state=abcdefghijklm&code=4/0abcdef")
    assert response.status_code == 400
    assert "copy the whole address" in text_of(response)
    assert browser.get("/auth/callback?state=abcdefghijklm&code=4/0abcdef").status_code == 429


def test_pastes_that_fail_are_counted(browser, settings, fake):
    _, page, _ = begin(browser)
    settings.LENDING_ATTEMPTS_PER_HOUR = 3
    for _ in range(2):
        assert browser.post(page, {"pasted": "no"}).status_code == 303
    assert browser.post(page, {"pasted": "no"}).status_code == 429


def test_ten_minutes_later_it_is_over(browser, fake):
    person(fake)
    flow, page, consent = begin(browser)
    Flow.objects.filter(pk=flow.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    browser.post(page, {"pasted": say_yes(consent)})
    text = text_of(browser.get(page))
    assert "Ten minutes have passed" in text
    assert "Begin again" in text


def test_a_passing_failure_can_be_tried_again_with_a_button(browser, fake):
    person(fake)
    fake.script("oauth_html", times=1)
    flow, page, consent = begin(browser)
    browser.post(page, {"pasted": say_yes(consent)})
    finish(flow)
    text = text_of(browser.get(page))
    assert "exchanging the code at Google" in text
    assert "Try again" in text
    browser.post(page, {"again": "1"})
    assert finish(flow).state == Flow.State.DONE


def test_the_choice_of_a_project(browser, fake):
    person(fake, projects=["one", "two"])
    flow, page, consent = begin(browser)
    browser.post(page, {"pasted": say_yes(consent)})
    finish(flow)
    assert "Which project?" in text_of(browser.get(page))
    browser.post(page, {"project": "two"})
    assert finish(flow).state == Flow.State.DONE


def test_a_verdict_that_needs_the_person_says_what_to_do(browser, fake):
    person(fake, state="unsupported_client", project=None)
    flow, page, consent = begin(browser)
    browser.post(page, {"pasted": say_yes(consent)})
    finish(flow)
    text = text_of(browser.get(page))
    assert "it needs you" in text
    assert "retired by Google" in text


def test_too_many_consents_at_once(browser, settings, fake):
    settings.LENDING_MAX_PENDING = 0
    response = ask(browser)
    assert response.status_code == 429
    assert "Retry-After" in response


# ------------------------------------------------------------------ as JSON


def test_the_script_polls_json(browser, fake):
    person(fake, projects=["one", "two"])
    flow, page, consent = begin(browser)

    def facts():
        response = browser.get(page, headers={"accept": "application/json"})
        assert response["Content-Type"] == "application/json"
        return response.json()

    assert facts() == {
        "state": "pending",
        "step": "",
        "words": "",
        "projects": [],
        "verdicts": [],
        "next": "consent",
    }
    browser.post(page, {"pasted": say_yes(consent)})
    assert facts()["next"] == "wait"
    finish(flow)
    assert (facts()["next"], facts()["projects"]) == ("choose", ["one", "two"])
    browser.post(page, {"project": "one"})
    finish(flow)
    (verdict,) = facts()["verdicts"]
    assert (verdict["verdict"], verdict["label"]) == ("works", "alice@example.org")
    assert facts()["next"] == "done"


def test_polling_sees_it_through_when_no_worker_does(browser, fake):
    person(fake)
    _, page, consent = begin(browser)
    browser.post(page, {"pasted": say_yes(consent)})
    Job.objects.update(created_at=timezone.now() - timedelta(seconds=4))
    assert browser.get(page, headers={"accept": "application/json"}).json()["state"] == "done"


# ------------------------------------------------------------------ API keys


def test_keys_are_lent_without_google(browser, fake):
    fake.add_api_key(api_key(1))
    response = ask(
        browser,
        kind="api_key",
        keys=f"{api_key(1)}\n{api_key(2)}",
        name="Bob",
        email="b@example.org",
    )
    flow = flow_at(browser, response)
    finish(flow)
    text = text_of(browser.get(response["Location"]))
    assert "works" in text
    assert "revoked" in text
    assert api_key(1) not in text
    contributor = Contributor.objects.get()
    assert (contributor.name, contributor.email) == ("Bob", "b@example.org")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "Paste at least one API key"),
        ("hello", "No API key"),
        ('{"type": "service_account", "private_key": "planted-private-key"}', "service account"),
    ],
)
def test_what_is_no_key_is_said(browser, fake, keys, said):
    response = ask(browser, kind="api_key", keys=keys)
    assert response.status_code == 422
    assert said in text_of(response)
    assert not Credential.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("email", "nobody"), ("webhook", "http://example.org"), ("webhook", "nowhere")],
)
def test_notices_go_only_where_they_may(browser, fake, field, value):
    assert ask(browser, **{field: value}).status_code == 422


# ------------------------------------------------------------------ link and cookie


def test_the_link_is_exchanged_for_a_cookie_at_once(browser):
    contributor = Contributor.objects.create()
    response = browser.get(f"/auth/link/{links.token_of(contributor)}")
    assert (response.status_code, response["Location"]) == (302, reverse("credentials:mine"))
    assert response["Referrer-Policy"] == "no-referrer"
    assert response.cookies[links.COOKIE]["max-age"] == 180 * 24 * 3600
    assert browser.get(reverse("credentials:mine")).status_code == 200


def test_over_https_the_cookies_stay_there(fake):
    browser = Client()
    response = browser.get(
        f"/auth/link/{links.token_of(Contributor.objects.create())}", secure=True
    )
    assert response.cookies[links.COOKIE]["secure"]
    response = browser.post("/auth", {"kind": "google", "consent": "on"}, secure=True)
    assert response.cookies["wellspring_lending"]["secure"]


def test_forged_and_replaced_links_open_nothing(browser):
    contributor, other = Contributor.objects.create(), Contributor.objects.create()
    token = links.token_of(contributor)
    forged = token.replace(contributor.public_id, other.public_id)
    services.renew_link(contributor_id=contributor.pk)
    for bad in (token, forged, "x", "a.b.c", "." * 150, f"{token}1", "é"):
        assert links.contributor_of(bad) is None
        assert browser.get(reverse("credentials:link", args=[bad])).status_code == 404
    contributor.refresh_from_db()
    assert links.contributor_of(links.token_of(contributor)) == contributor


def test_no_link_stands_in_the_log(browser, monkeypatch):
    """A link whose end was lost opens nothing, and the log would complete it."""
    written = io.StringIO()
    handlers = logging.getLogger("django").handlers
    (handler,) = [one for one in handlers if isinstance(one, logging.StreamHandler) and one.filters]
    monkeypatch.setattr(handler, "stream", written)
    token = links.token_of(Contributor.objects.create())
    assert browser.get(f"/auth/link/{token[:-1]}").status_code == 404
    assert browser.get(f"/auth/no-more-mail/{token}").status_code == 404
    assert "Not Found: /auth/link/…" in written.getvalue()
    assert token[:40] not in written.getvalue()


def test_a_links_end_survives_e_mail_programs():
    """They leave out a closing sign; so it ends with a digit."""
    for _ in range(20):
        assert links.token_of(Contributor.objects.create())[-1].isdigit()


def test_an_old_page_does_not_give_the_link_again(browser, fake):
    flow = flow_at(browser, ask(browser, kind="api_key", keys=api_key()))
    finish(flow)
    Flow.objects.update(created_at=timezone.now() - timedelta(minutes=31))
    response = browser.get(reverse("credentials:flow", args=[flow.pk]))
    assert "/auth/link/" not in text_of(response)
    assert links.COOKIE not in response.cookies


def test_a_renewed_link_is_not_given_to_a_browser_that_came_by_the_old_one(browser, fake):
    """Whoever found the link began an attempt with it: neither its page nor its end may tell them the new one."""
    contributor = Contributor.objects.create()
    browser.get(f"/auth/link/{links.token_of(contributor)}")
    done = flow_at(browser, ask(browser, kind="api_key", keys=api_key()))
    finish(done)
    person(fake)
    under_way, page, consent = begin(browser)
    services.renew_link(contributor_id=contributor.pk)
    browser.post(page, {"pasted": say_yes(consent)})
    finish(under_way)
    for flow in (done, under_way):
        response = browser.get(reverse("credentials:flow", args=[flow.pk]))
        assert contributor.public_id not in text_of(response)
        assert contributor.public_id not in str(response.cookies)


def test_a_second_loan_joins_the_same_contributor(browser, fake):
    contributor = Contributor.objects.create(name="Alice")
    browser.get(f"/auth/link/{links.token_of(contributor)}")
    text = text_of(browser.get("/auth"))
    assert "E-mail for notices" not in text
    assert "the private page that this browser has open" in text
    flow = flow_at(browser, ask(browser, kind="api_key", keys=api_key()))
    assert flow.contributor == contributor


# ------------------------------------------------------------------ reconnecting


@pytest.fixture
def mine(browser):
    contributor = Contributor.objects.create()
    browser.get(f"/auth/link/{links.token_of(contributor)}")
    return contributor


def test_a_login_is_reconnected_in_place(browser, fake, mine):
    person(fake)
    row = store_login(email="alice@example.org", project="alice-project", contributor_id=mine.pk)
    page = reverse("credentials:reconnect", args=[row.pk])
    text = text_of(browser.get(page))
    assert "alice@example.org" not in text
    flow = flow_at(browser, browser.post(page))
    assert flow.credential == row
    browser.post(f"/auth/flows/{flow.pk}", {"pasted": say_yes(flows.consent_url(flow))})
    assert finish(flow).state == Flow.State.DONE
    assert Credential.objects.count() == 1


def test_a_key_is_replaced_in_place(browser, fake, mine):
    row = store_key(1, contributor_id=mine.pk)
    fake.add_api_key(api_key(2))
    page = reverse("credentials:reconnect", args=[row.pk])
    assert "New API key" in text_of(browser.get(page))
    assert browser.post(page, {"keys": "x"}).status_code == 400
    flow = flow_at(browser, browser.post(page, {"keys": api_key(2)}))
    assert finish(flow).state == Flow.State.DONE
    row.refresh_from_db()
    assert row.secret.open() == {"api_key": api_key(2)}


def test_only_what_is_ones_own_is_reconnected(browser, mine):
    row = store_login(contributor_id=Contributor.objects.create().pk)
    taken_back = store_key(1, contributor_id=mine.pk)
    services.withdraw(credential_id=taken_back.pk)
    for pk in (row.pk, taken_back.pk, 999):
        page = reverse("credentials:reconnect", args=[pk])
        assert browser.get(page).status_code == 404
        assert browser.post(page).status_code == 404
    assert Client().get(reverse("credentials:reconnect", args=[row.pk])).status_code == 404


def test_addresses_of_one_household_count_as_one(settings, fake):
    settings.LENDING_ATTEMPTS_PER_HOUR = 1
    first, second = Client(REMOTE_ADDR="2001:db8:1:2::1"), Client(REMOTE_ADDR="2001:db8:1:2:3::9")
    assert ask(first).status_code == 303
    assert ask(second).status_code == 429
    assert ask(Client(REMOTE_ADDR="2001:db8:1:3::1")).status_code == 303


def test_visitors_by_ipv4_are_told_apart_on_a_socket_for_both(settings, fake):
    settings.LENDING_ATTEMPTS_PER_HOUR = 1
    for address in ("::ffff:192.0.2.1", "::ffff:192.0.2.2"):
        assert ask(Client(REMOTE_ADDR=address)).status_code == 303
    assert ask(Client(REMOTE_ADDR="192.0.2.1")).status_code == 429


@pytest.mark.django_db
def test_a_closing_slash_is_no_other_page(client):
    answer = client.get("/auth/?code=x")
    assert (answer.status_code, answer["Location"]) == (301, "/auth")
