"""Who may ask which route. Made from the URL conf: a route that nobody entered here fails.

Whoever may not is answered 401 or 403 by the API, and sent to sign in or told so by pages. Whoever may gets anything else: what
is named in the addresses does not exist, so mostly 400 or 404.
"""

from __future__ import annotations

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from accounts.models import User
from accounts.services import tokens
from gateway.lib.scopes import resources
from tests.gateway.routing import every_route

PANEL_PASSWORD = "let-me-in"
PEOPLE = ("member", "contributor", "steward", "operator")
EVERYBODY = frozenset({"anonymous", *PEOPLE, "right token", "panel"})
OPERATORS = frozenset({"operator", "right token", "panel"})
STEWARDS = OPERATORS | {"steward"}
SIGNED_IN = EVERYBODY - {"anonymous"}
# A panel password is no person: what belongs to somebody is not for it.
PERSONS = SIGNED_IN - {"panel"}

# Whoever asks by a token with another scope is refused everywhere but where nobody looks at the token.
API = {
    "api/announcements": OPERATORS,
    "api/announcements/<pk>": OPERATORS,
    "api/announcements/current": EVERYBODY,
    "api/audit": OPERATORS,
    "api/audit.csv": OPERATORS,
    "api/audit/<pk>": OPERATORS,
    "api/campaigns": OPERATORS,
    "api/campaigns/<pk>": OPERATORS,
    "api/codes": OPERATORS,
    "api/codes/<pk>": OPERATORS,
    "api/codes/<pk>/revoke": OPERATORS,
    "api/codes/csv": OPERATORS,
    "api/contributors": STEWARDS,
    "api/contributors/<public_id>": STEWARDS,
    "api/contributors/<public_id>/link": OPERATORS,
    "api/credentials": STEWARDS,
    "api/credentials/<pk>": STEWARDS,
    "api/credentials/<pk>/<action>": STEWARDS,
    "api/credentials/<pk>/history": STEWARDS,
    "api/credentials/bulk": STEWARDS,
    "api/credentials/export": OPERATORS,
    "api/credentials/summary": STEWARDS,
    "api/groups": OPERATORS,
    "api/groups/<pk>": OPERATORS,
    "api/imports": STEWARDS,
    "api/imports/<pk>": STEWARDS,
    "api/imports/<pk>/cancel": STEWARDS,
    "api/imports/<pk>/confirm": STEWARDS,
    "api/imports/<pk>/items": STEWARDS,
    "api/invitations": OPERATORS,
    "api/invitations/<pk>": OPERATORS,
    "api/invitations/<pk>/revoke": OPERATORS,
    "api/jobs": STEWARDS,
    "api/jobs/<pk>": STEWARDS,
    "api/jobs/<pk>/cancel": STEWARDS,
    "api/key-templates": OPERATORS,
    "api/key-templates/<pk>": OPERATORS,
    "api/keys": OPERATORS,
    "api/keys/<public_id>": OPERATORS,
    "api/keys/<public_id>/claim-link": OPERATORS,
    "api/keys/<public_id>/credits": OPERATORS,
    "api/keys/<public_id>/disable": OPERATORS,
    "api/keys/<public_id>/enable": OPERATORS,
    "api/keys/<public_id>/end-overlap": OPERATORS,
    "api/keys/<public_id>/revoke": OPERATORS,
    "api/keys/<public_id>/rotate": OPERATORS,
    "api/keys/<public_id>/share": OPERATORS,
    "api/keys/batch": OPERATORS,
    "api/keys/bulk": OPERATORS,
    "api/keys/export": OPERATORS,
    "api/ledger": OPERATORS,
    "api/ledger/csv": OPERATORS,
    "api/me": SIGNED_IN,
    "api/models": EVERYBODY,
    "api/multipliers": OPERATORS,
    "api/multipliers/<pk>": OPERATORS,
    "api/multipliers/<pk>/end": OPERATORS,
    "api/my/ledger": SIGNED_IN,
    "api/my/ledger/csv": SIGNED_IN,
    "api/my/requests": SIGNED_IN,
    "api/my/requests.csv": SIGNED_IN,
    "api/my/requests/<request_id>": SIGNED_IN,
    "api/my/usage": SIGNED_IN,
    "api/my/usage.csv": SIGNED_IN,
    "api/my/usage/series": SIGNED_IN,
    "api/my/usage/series.csv": SIGNED_IN,
    "api/price-list": EVERYBODY,
    "api/prices": OPERATORS,
    "api/prices/<pk>": OPERATORS,
    "api/prices/<pk>/end": OPERATORS,
    "api/prices/what-if": OPERATORS,
    "api/redeem": SIGNED_IN,
    "api/requests": OPERATORS,
    "api/requests.csv": OPERATORS,
    "api/requests/<request_id>": OPERATORS,
    "api/rules": STEWARDS,
    "api/rules/<pk>": STEWARDS,
    "api/rules/dry-run": STEWARDS,
    "api/settings": OPERATORS,
    "api/settings/history": OPERATORS,
    "api/settings/undo": OPERATORS,
    "api/tokens": SIGNED_IN,
    "api/tokens/<pk>": SIGNED_IN,
    "api/upstream-errors": STEWARDS,
    "api/usage": OPERATORS,
    "api/usage.csv": OPERATORS,
    "api/usage/series": OPERATORS,
    "api/usage/series.csv": OPERATORS,
    "api/users": OPERATORS,
    "api/users/<pk>": OPERATORS,
    "api/users/<pk>/credits": OPERATORS,
    "api/users/<pk>/end-sessions": OPERATORS,
    "api/users/<pk>/password-link": OPERATORS,
    "api/users/<pk>/reset-factor": OPERATORS,
    # the documentation
    "api/docs/": EVERYBODY,
    "api/schema/": EVERYBODY,
    # the older routes
    "auth/callback-url": STEWARDS,
    "auth/env-creds": STEWARDS,
    "auth/env-creds-status": STEWARDS,
    "auth/keys": OPERATORS,
    "auth/keys/<named>": OPERATORS,
    "auth/load-env-creds": STEWARDS,
    "auth/login": EVERYBODY,
    "auth/query": EVERYBODY,
    "auth/models/<name>/cost": EVERYBODY,
    "auth/models/costs": OPERATORS,
    "auth/models/costs/<name>": OPERATORS,
    "auth/quota": EVERYBODY,
    "auth/start": STEWARDS,
    "auth/status/<project_id>": STEWARDS,
    "auth/upload": STEWARDS,
    "config/get": OPERATORS,
    "config/save": OPERATORS,
    "creds/action": STEWARDS,
    "creds/batch-action": STEWARDS,
    "creds/download-all": OPERATORS,
    "creds/download/<name>": OPERATORS,
    "creds/fetch-email/<name>": STEWARDS,
    "creds/refresh-all-emails": STEWARDS,
    "creds/status": STEWARDS,
    "usage/aggregated": STEWARDS,
    "usage/reset": STEWARDS,
    "usage/stats": STEWARDS,
    "usage/update-limits": STEWARDS,
}
# Nobody's sign-in is looked at: a password or a key in the request is what counts, or it is for everybody.
NO_SIGN_IN = {"api/docs/", "api/schema/", "auth/login", "auth/query", "auth/quota"}
# It is let in, and then refused for what it is.
REFUSED_LATER = {("post", "api/tokens", "panel")}

PAGES = {
    "": EVERYBODY,
    "account": PERSONS,
    "api-key-admin": OPERATORS,
    "api-key-admin/<public_id>": OPERATORS,
    "api-key-admin/<public_id>/<action>": OPERATORS,
    "api-key-admin/batch": OPERATORS,
    "api-key-admin/export.csv": OPERATORS,
    "api-key-admin/many": OPERATORS,
    "api-key-admin/new": OPERATORS,
    "api-key-admin/templates": OPERATORS,
    "api-key-admin/templates/<pk>": OPERATORS,
    "api-key-admin/templates/<pk>/delete": OPERATORS,
    "api-key-admin/templates/new": OPERATORS,
    "api-key-query": EVERYBODY,
    "audit": OPERATORS,
    "credentials": STEWARDS,
    "credentials/<credential_id>": STEWARDS,
    "credentials/<credential_id>/<action>": STEWARDS,
    "credentials/<credential_id>/edit": STEWARDS,
    "credentials/<credential_id>/limits": STEWARDS,
    "credentials/bulk": STEWARDS,
    "credentials/export": OPERATORS,
    "credentials/import": STEWARDS,
    "credentials/import/<import_id>": STEWARDS,
    "credentials/import/<import_id>/cancel": STEWARDS,
    "credentials/import/<import_id>/confirm": STEWARDS,
    "credentials/rules": STEWARDS,
    "credentials/rules/<pk>": STEWARDS,
    "credentials/rules/<pk>/delete": STEWARDS,
    "favicon.ico": EVERYBODY,
    "health": EVERYBODY,
    "jobs": STEWARDS,
    "jobs/<job_id>/cancel": STEWARDS,
    "keys": PERSONS,
    "keys/<public_id>/<action>": PERSONS,
    "keys/new": PERSONS,
    "quota": EVERYBODY,
    "quota/done": EVERYBODY,
    "quota/redeem": EVERYBODY,
    "prices": EVERYBODY,
    "ready": EVERYBODY,
    "sign-out": EVERYBODY,
    "system": OPERATORS,
    "system/selftest": OPERATORS,
    "users": OPERATORS,
    "users/<pk>": OPERATORS,
    "users/<pk>/<action>": OPERATORS,
    "users/groups": OPERATORS,
    "users/invitations/<pk>/revoke": OPERATORS,
    "users/invite": OPERATORS,
    "welcome": OPERATORS,
}
# A secret in the address or a cookie of the visitor's opens them, whoever is signed in; their own tests say how.
BY_SECRET = {
    "auth",
    "auth/",
    "auth/callback",
    "auth/flows/<flow_id>",
    "auth/link/<token>",
    "auth/mine",
    "auth/mine/<credential_id>",
    "auth/mine/<credential_id>/limits",
    "auth/mine/<credential_id>/pause",
    "auth/mine/<credential_id>/receipt",
    "auth/mine/<credential_id>/receipt.<form>",
    "auth/mine/<credential_id>/reconnect",
    "auth/mine/<credential_id>/resume",
    "auth/mine/<credential_id>/test",
    "auth/mine/<credential_id>/withdraw",
    "auth/mine/contact",
    "auth/mine/leave",
    "auth/mine/new-link",
    "auth/mine/open",
    "auth/mine/reward-key",
    "auth/no-more-mail/<token>",
    "claim/<code>",
    "media/<name>",
    "quota/s/<token>",
    "setup/<token>",
}
# It makes a few dozen calls of its own; its test has them.
SLOW = {("post", "system/selftest")}

ROUTES = every_route()
API_CASES = [(m, one) for one in ROUTES if one.is_api for m in one.methods]
PAGE_CASES = [
    (m, one)
    for one in ROUTES
    if not one.is_api and one.name not in BY_SECRET
    for m in one.methods
    if (m, one.name) not in SLOW
]


def test_every_route_is_entered_here_and_nothing_else():
    assert {one.name for one in ROUTES if one.is_api} == set(API)
    assert {one.name for one in ROUTES if not one.is_api} == {*PAGES, *BY_SECRET}


@pytest.fixture
def people(db):
    flags = {"is_staff": True, "is_superuser": True}
    return {
        role: User.objects.create(username=role, role=role, **(flags if role == "operator" else {}))
        for role in PEOPLE
    }


@pytest.fixture
def client_of(people, settings):
    settings.PANEL_PASSWORD = PANEL_PASSWORD
    cache.clear()

    def client_of(who, scope):
        client = APIClient(raise_request_exception=True)
        if who in people:
            client.force_login(people[who])
        elif who == "panel":
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {PANEL_PASSWORD}")
        elif who.endswith("token"):
            granted = f"{scope}:write" if scope else "*"
            other = next(f"{one}:write" for one in sorted(resources()) if one != scope)
            _, text = tokens.make_token(
                owner=people["operator"],
                name=who,
                scopes_=[granted if who == "right token" else other],
            )
            client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
        return client

    return client_of


@pytest.mark.parametrize(
    ("method", "route"), API_CASES, ids=[f"{m} {one.name}" for m, one in API_CASES]
)
def test_the_api(client_of, method, route):
    scope = getattr(route.view, "scope", "")
    wrong = {}
    for who in (*sorted(EVERYBODY), "wrong token"):
        status = getattr(client_of(who, scope), method)(route.address, format="json").status_code
        may = who in API[route.name] or (who == "wrong token" and route.name in NO_SIGN_IN)
        if (method, route.name, who) in REFUSED_LATER or status == 405:
            continue
        if route.name in NO_SIGN_IN:
            # The key or password that is missing here is refused by the same numbers.
            may = status not in (302, 500)
            refused = False
        else:
            refused = status in (401, 403)
        # 503: no OAuth client is configured here.
        if refused == may or status in (500, 502):
            wrong[who] = status
    assert wrong == {}


@pytest.mark.parametrize(
    ("method", "route"), PAGE_CASES, ids=[f"{m} {one.name}" for m, one in PAGE_CASES]
)
def test_pages(client_of, method, route):
    """Tokens and the panel password are for the API: pages see a stranger."""
    wrong = {}
    for who in ("anonymous", *PEOPLE):
        answer = getattr(client_of(who, ""), method)(route.address)
        if answer.status_code == 405:
            continue
        place = answer.headers.get("Location", "")
        to_sign_in = answer.status_code == 302 and ("login" in place or "sign-in" in place)
        refused = answer.status_code == 403 or to_sign_in
        if refused == (who in PAGES[route.name]) or answer.status_code >= 500:
            wrong[who] = answer.status_code
    assert wrong == {}


@pytest.mark.parametrize("route", ROUTES, ids=[one.name for one in ROUTES])
def test_a_person_who_was_switched_off_is_a_stranger(route, client_of, people):
    if route.name in BY_SECRET or route.name in NO_SIGN_IN or "get" not in route.methods:
        return
    table = API if route.is_api else PAGES
    if "anonymous" in table[route.name]:
        return
    client = client_of("operator", "")
    User.objects.filter(role="operator").update(is_active=False)
    answer = client.get(route.address)
    assert answer.status_code in (302, 401, 403, 405)
