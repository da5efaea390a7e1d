"""/auth: what somebody lends, Google's consent, the paste of its answer, the choice of a project, and the verdict."""

from __future__ import annotations

import ipaddress
import math
import secrets
import uuid
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from credentials import links, pasted
from credentials.forms.lending import LendForm
from credentials.identity import masked_email
from credentials.kinds import KINDS
from credentials.models import Contributor, Credential, Flow, Provider
from credentials.pasted import Pasted, Step, Trouble
from credentials.services import flows
from credentials.services.flow_rows import LIFETIME, digest, fail
from credentials.states import State
from gateway.lib.errors import GatewayError, InvalidRequest, RateLimited

_View = Callable[..., HttpResponse]

BROWSER_COOKIE = "wellspring_lending"
_BROWSER_AGE_S = 24 * 3600
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_LONGEST_LOOPBACK = len("localhost:65535")
_OF_ANOTHER_BROWSER = (
    "This answer of Google's belongs to an attempt that was begun in another browser or window. Go on there, or begin again "
    "here."
)
_OF_ANOTHER_ATTEMPT = (
    "This answer of Google's belongs to an attempt that is over or was begun elsewhere. Open Google's page from here, and "
    "paste the address it ends on."
)
_FOR_A_PERSON = (Flow.State.PENDING, Flow.State.CHOOSING)
_KEPT_FROM = (Flow.State.CHECKING, Flow.State.DONE)


def guarded(view: _View) -> _View:
    """Kept by nobody on the way, and its address told to nobody. A page with a form must say "same-origin": with less, browsers
    hide the form's origin and Django refuses it."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response["Cache-Control"] = "no-store"
        moved = isinstance(response, HttpResponseRedirect)
        response["Referrer-Policy"] = "no-referrer" if moved else "same-origin"
        response["X-Robots-Tag"] = "noindex"
        return response

    return page


def address_of(request: HttpRequest) -> str:
    """By which attempts are counted. Of IPv6 the network, as a single household has billions of addresses."""
    address = request.META.get("REMOTE_ADDR") or ""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:45]
    if isinstance(known, ipaddress.IPv4Address):
        return address
    # What a socket for both families tells of a visitor who came by IPv4.
    if known.ipv4_mapped:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, 64), strict=False))


# ------------------------------------------------------------------ beginning


@guarded
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("keys", "invite", "webhook")
def lend(request: HttpRequest) -> HttpResponse:
    contributor = links.contributor_of_request(request)
    if settings.LENDING not in ("open", "invite") and not request.user.is_authenticated:
        return render(request, "credentials/lend_members.html", status=403)
    form = LendForm(
        request.POST if request.method == "POST" else None,
        is_new=contributor is None,
        needs_code=settings.LENDING == "invite" and contributor is None,
    )
    if request.method != "POST":
        return _lend_page(request, form)
    try:
        with flows.in_turn(address_of(request)):
            is_valid = form.is_valid()
            if form.wrong_code:
                flows.count_failure(address=address_of(request), step=Step.READING)
        if is_valid:
            browser = _browser_of(request)
            return _to_flow(request, _begin(request, form, contributor, browser), browser)
    except RateLimited as exc:
        return _too_many(request, exc)
    except InvalidRequest as exc:
        flows.count_failure(address=address_of(request), step=Step.READING)
        form.add_error("keys", _sentence(exc.message))
    # What is amiss may stand far below what a phone shows.
    messages.error(request, "Not yet: something is missing or wrong, see below.")
    return _lend_page(request, form, 422)


def _begin(
    request: HttpRequest, form: LendForm, contributor: Contributor | None, browser: str
) -> Flow:
    """Raises RateLimited, and InvalidRequest when the text holds no key."""
    address = address_of(request)
    contributor_id = contributor.pk if contributor else None
    wishes = form.wishes(request.user.pk if request.user.is_authenticated else None)
    if form.cleaned_data["kind"] == Flow.Kind.API_KEY:
        return flows.begin_keys(
            text=form.cleaned_data["keys"],
            browser=browser,
            address=address,
            contributor_id=contributor_id,
            wishes=wishes,
        )
    return flows.begin_google(
        browser=browser,
        redirect_uri=redirect_uri_of(request),
        address=address,
        contributor_id=contributor_id,
        wishes=wishes,
    )


def _lend_page(request: HttpRequest, form: LendForm, status: int = 200) -> HttpResponse:
    chosen = form["kind"].value() or next(
        (kind.id for kind in KINDS.values() if kind.is_ready()), ""
    )
    context = {"form": form, "kinds": KINDS.values(), "chosen": chosen}
    return render(request, "credentials/lend.html", context, status=status)


@guarded
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("keys")
def reconnect(request: HttpRequest, credential_id: int) -> HttpResponse:
    """A new login, or a new key, for what was lent before: same row, same history."""
    contributor = links.contributor_of_request(request)
    if contributor is None:
        raise Http404
    lent = contributor.credentials.exclude(state=State.WITHDRAWN)
    credential = get_object_or_404(lent, pk=credential_id)
    if request.method != "POST":
        return _reconnect_page(request, credential)
    browser, address = _browser_of(request), address_of(request)
    try:
        if credential.provider == Provider.CODE_ASSIST:
            flow = flows.begin_google(
                browser=browser,
                redirect_uri=redirect_uri_of(request),
                address=address,
                contributor_id=contributor.pk,
                credential_id=credential.pk,
            )
        else:
            flow = flows.begin_new_key(
                credential=credential,
                text=request.POST.get("keys", ""),
                browser=browser,
                address=address,
            )
    except RateLimited as exc:
        return _too_many(request, exc)
    except GatewayError as exc:
        return _reconnect_page(request, credential, _sentence(exc.message), exc.status)
    return _to_flow(request, flow, browser)


def _reconnect_page(
    request: HttpRequest, credential: Credential, error: str = "", status: int = 200
) -> HttpResponse:
    context = {
        "credential": credential,
        "identity": masked_email(credential.email) if credential.email else credential.label,
        "is_key": credential.provider == Provider.GEMINI_API,
        "error": error,
    }
    return render(request, "credentials/lend_reconnect.html", context, status=status)


# ------------------------------------------------------------------ Google's answer, and what follows


@guarded
@require_safe
def callback(request: HttpRequest) -> HttpResponse:
    """Where Google sends a browser that runs on the gateway's own host."""
    answer = pasted.read(f"?{request.META.get('QUERY_STRING', '')}")
    flow = flows.flow_of_state(answer.state)
    try:
        if flow is None:
            flows.check_attempts(address_of(request))
            flows.count_failure(address=address_of(request), step=Step.MATCHING)
            return _elsewhere(request)
    except RateLimited as exc:
        return _too_many(request, exc)
    if flow.browser_digest and not flows.began_in(flow, _browser_of(request)):
        return _elsewhere(request, _OF_ANOTHER_BROWSER, 403)
    if isinstance(answer, Trouble):
        flows.note_trouble(flow=flow, step=answer.step, words=answer.words)
    else:
        flows.accept(flow_id=flow.pk, code=answer.code, by_state=True)
    if not flow.browser_digest:
        return render(request, "credentials/lend_back.html")
    return _see_other(flow)


@guarded
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("pasted")
def flow(request: HttpRequest, flow_id: uuid.UUID) -> HttpResponse:
    """The page of one attempt; as JSON for the script that waits for it."""
    found = Flow.objects.filter(pk=flow_id).first()
    if found is None or not flows.began_in(found, _browser_of(request)):
        if _wants_json(request):
            return JsonResponse({"detail": "There is no such attempt of this browser."}, status=404)
        return _elsewhere(request, status=404)
    if request.method == "POST":
        return _go_on(request, found)
    if found.state in (Flow.State.EXCHANGING, Flow.State.CHECKING):
        flows.hurry(flow_id=found.pk)
    elif found.expires_at < timezone.now() and found.state in _FOR_A_PERSON:
        flows.expire_flows()
    found.refresh_from_db()
    if _wants_json(request):
        return JsonResponse(_facts(found))
    return _flow_page(request, found)


def _go_on(request: HttpRequest, flow: Flow) -> HttpResponse:
    if "project" in request.POST:
        flows.choose_project(flow_id=flow.pk, project=request.POST["project"])
        return _see_other(flow)
    if "again" in request.POST:
        flows.accept(flow_id=flow.pk)
        return _see_other(flow)
    try:
        flows.check_attempts(address_of(request))
    except RateLimited as exc:
        return _too_many(request, exc)
    answer = pasted.read(request.POST.get("pasted", ""))
    if isinstance(answer, Pasted):
        meant, answer = _meant(request, flow, answer)
        if isinstance(answer, Pasted):
            by_state = bool(answer.state)
            if not flows.accept(flow_id=meant.pk, code=answer.code, by_state=by_state):
                _expire(meant)
            return _see_other(meant)
    flows.count_failure(address=address_of(request), step=answer.step)
    flows.note_trouble(flow=flow, step=answer.step, words=answer.words)
    return _see_other(flow)


def _meant(request: HttpRequest, flow: Flow, answer: Pasted) -> tuple[Flow, Pasted | Trouble]:
    """The attempt that a pasted answer belongs to: this one, or another of the same browser."""
    if not answer.state or secrets.compare_digest(flow.state_digest or "", digest(answer.state)):
        return flow, answer
    other = flows.flow_of_state(answer.state)
    if other is None:
        return flow, Trouble(Step.MATCHING, _OF_ANOTHER_ATTEMPT)
    if not flows.began_in(other, _browser_of(request)):
        return flow, Trouble(Step.MATCHING, _OF_ANOTHER_BROWSER)
    return other, answer


def _expire(flow: Flow) -> None:
    if flow.state == Flow.State.PENDING and flow.expires_at < timezone.now():
        fail(flow, Step.MATCHING, flows.EXPIRED)


def _flow_page(request: HttpRequest, flow: Flow) -> HttpResponse:
    is_fresh = flow.created_at > timezone.now() - 3 * LIFETIME
    contributor = flow.contributor if flow.state in _KEPT_FROM and is_fresh else None
    here = f"http://{request.get_host()}/"
    context: dict[str, Any] = {
        "flow": flow,
        "facts": _facts(flow),
        "comes_back": flow.redirect_uri.startswith(here),
        "can_be_tried_again": flows.can_be_tried_again(flow),
        "works": sum(told["usable"] for told in flow.results),
        "reconnects": bool(flow.credential_id and links.contributor_of_request(request)),
    }
    if flow.state == Flow.State.PENDING:
        context["consent_url"] = flows.consent_url(flow)
    if flow.state == Flow.State.DONE and contributor is not None:
        context["link"] = links.link_of(contributor, site_of(request))
    response = render(request, f"credentials/lend_{flow.state}.html", context)
    if contributor is not None and links.contributor_of_request(request) is None:
        links.remember(request, response, contributor)
    return response


def _facts(flow: Flow) -> dict[str, Any]:
    """What the page's script, or a program, needs to know. Of a verdict's `credential` only whether there is one."""
    return {
        "state": flow.state,
        "step": flow.step,
        "words": flow.words,
        "projects": flow.projects,
        "verdicts": [
            {name: told[name] for name in ("label", "verdict", "usable", "detail", "help_url")}
            for told in flow.results
        ],
        "next": _NEXT[flow.state],
    }


_NEXT = {
    Flow.State.PENDING.value: "consent",
    Flow.State.EXCHANGING.value: "wait",
    Flow.State.CHOOSING.value: "choose",
    Flow.State.CHECKING.value: "wait",
    Flow.State.DONE.value: "done",
    Flow.State.FAILED.value: "begin again",
}


# ------------------------------------------------------------------ the contributor's link


@guarded
@require_safe
def open_link(request: HttpRequest, token: str) -> HttpResponse:
    """The secret leaves the address bar at once: from here on the cookie tells who it is."""
    contributor = links.contributor_of(token)
    if contributor is None:
        return render(request, "credentials/lend_link_unknown.html", status=404)
    response = HttpResponseRedirect(reverse("credentials:mine"))
    links.remember(request, response, contributor)
    return response


# ------------------------------------------------------------------ small things


def site_of(request: HttpRequest) -> str:
    return settings.PUBLIC_URL or request.build_absolute_uri("/")[:-1]


def redirect_uri_of(request: HttpRequest) -> str:
    """Google sends these clients to loopback addresses only. When the browser runs on the gateway's own host it arrives here;
    anywhere else the page cannot be opened, and its address is pasted."""
    host = request.get_host()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in _LOOPBACK or len(host) > _LONGEST_LOOPBACK or request.is_secure():
        host = f"localhost:{settings.LENDING_LOOPBACK_PORT}"
    return f"http://{host}{reverse('credentials:callback')}"


def _browser_of(request: HttpRequest) -> str:
    """Its cookie, or a new one that `_to_flow` sets."""
    return request.COOKIES.get(BROWSER_COOKIE) or secrets.token_urlsafe(32)


def forget_browser(response: HttpResponse) -> None:
    """Its attempts are a stranger's from now on."""
    response.delete_cookie(BROWSER_COOKIE, path=reverse("credentials:lend"), samesite="Lax")


def _to_flow(request: HttpRequest, flow: Flow, browser: str) -> HttpResponse:
    response = _see_other(flow)
    response.set_cookie(
        BROWSER_COOKIE,
        browser,
        max_age=_BROWSER_AGE_S,
        path=reverse("credentials:lend"),
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
    return response


def _see_other(flow: Flow) -> HttpResponse:
    response = HttpResponseRedirect(reverse("credentials:flow", args=[flow.pk]))
    response.status_code = 303
    return response


def _elsewhere(request: HttpRequest, words: str = "", status: int = 400) -> HttpResponse:
    return render(request, "credentials/lend_elsewhere.html", {"words": words}, status=status)


def _too_many(request: HttpRequest, exc: RateLimited) -> HttpResponse:
    context = {"words": exc.message}
    response = render(request, "credentials/lend_too_many.html", context, status=exc.status)
    response["Retry-After"] = str(math.ceil(exc.retry_after_s or 60))
    return response


def _wants_json(request: HttpRequest) -> bool:
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"
