"""The contributor's private page: how the loans stand, what they may do, and the way to take them back."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import msgspec
from django.contrib import messages
from django.core.paginator import Paginator
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from credentials import links, services, signatures
from credentials.forms.private import ContactForm, LimitsForm
from credentials.models import Contributor, Credential
from credentials.selectors import loans
from credentials.selectors.rewards import rewards_of
from credentials.services.withdrawal import same_login
from credentials.states import State
from credentials.views.lending import forget_browser, guarded, site_of
from gateway.lib import audit
from gateway.lib.errors import GatewayError

_View = Callable[..., HttpResponse]

_A_PAGE = 50
_NOT_SAVED = "Nothing is saved yet: something is wrong, see below."


def contributors_only(view: _View) -> _View:
    """Gives the view the contributor whose browser asks; everybody else is asked for the link."""

    @wraps(view)
    def page(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        contributor = links.contributor_of_request(request)
        if contributor is None:
            return render(request, "credentials/mine_closed.html", status=403)
        return view(request, contributor, *args, **kwargs)

    return guarded(page)


@require_safe
@contributors_only
def mine(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    return _overview(request, contributor, ContactForm(contributor=contributor))


@require_POST
@guarded
@sensitive_post_parameters("link")
def open_my_link(request: HttpRequest) -> HttpResponse:
    """The link, pasted by someone whose browser does not know it."""
    response = _see_other("credentials:mine")
    if contributor := links.contributor_in(request.POST.get("link", "")):
        links.remember(request, response, contributor)
    else:
        messages.error(
            request,
            "This is no private link of this site, or a newer one replaced it. Look for the newest message with it.",
        )
    return response


@require_POST
@guarded
def leave(request: HttpRequest) -> HttpResponse:
    """The browser forgets who it was: others use it too."""
    messages.success(
        request, "This browser has forgotten you. Your private link opens the page again."
    )
    response = _see_other("credentials:lend")
    links.forget(response)
    forget_browser(response)
    return response


@require_POST
@sensitive_post_parameters("webhook")
@contributors_only
def save_contact(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    form = ContactForm(request.POST, contributor=contributor)
    if not form.is_valid():
        messages.error(request, _NOT_SAVED)
        return _overview(request, contributor, form)
    services.save_contact(
        contributor_id=contributor.pk,
        name=form.cleaned_data["name"],
        email=form.cleaned_data["email"],
        webhook=form.new_webhook(),
    )
    messages.success(request, "Saved.")
    return _see_other("credentials:mine")


@require_POST
@contributors_only
def renew_link(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    with transaction.atomic():
        contributor = services.renew_link(contributor_id=contributor.pk)
        _audit(request, contributor, "contributors.new_link")
    link = links.link_of(contributor, site_of(request))
    response = render(request, "credentials/mine_link.html", {"link": link})
    links.remember(request, response, contributor)
    return response


@require_safe
@contributors_only
def one(request: HttpRequest, contributor: Contributor, credential_id: int) -> HttpResponse:
    credential = _own(contributor, credential_id)
    if credential.state == State.WITHDRAWN:
        return _see_other("credentials:receipt", credential.pk)
    return _detail(request, credential, LimitsForm(credential=credential))


@require_POST
@contributors_only
def save_limits(request: HttpRequest, contributor: Contributor, credential_id: int) -> HttpResponse:
    credential = _own(contributor, credential_id)
    form = LimitsForm(request.POST, credential=credential)
    if not form.is_valid():
        messages.error(request, _NOT_SAVED)
        return _detail(request, credential, form)

    def save() -> None:
        services.set_limits(credential_id=credential.pk, limits=form.limits())
        messages.success(request, "Your limits are saved. They hold from now on.")

    return _act(request, credential, save)


@require_POST
@contributors_only
def pause(request: HttpRequest, contributor: Contributor, credential_id: int) -> HttpResponse:
    credential = _own(contributor, credential_id)

    def do() -> None:
        services.pause(credential_id=credential.pk)
        messages.success(request, "Paused. No new call goes to it until you resume it.")

    return _act(request, credential, do)


@require_POST
@contributors_only
def resume(request: HttpRequest, contributor: Contributor, credential_id: int) -> HttpResponse:
    credential = _own(contributor, credential_id)

    def do() -> None:
        services.resume(credential_id=credential.pk)
        messages.success(request, "Resumed.")

    return _act(request, credential, do)


@require_POST
@contributors_only
def test_now(request: HttpRequest, contributor: Contributor, credential_id: int) -> HttpResponse:
    credential = _own(contributor, credential_id)

    def do() -> None:
        finding = services.try_now(credential_id=credential.pk)
        tell = messages.success if finding.usable else messages.warning
        detail = f" {finding.detail}" if finding.detail else ""
        tell(request, f"Tested just now: {finding.verdict}.{detail}")

    return _act(request, credential, do)


@require_http_methods(["GET", "HEAD", "POST"])
@contributors_only
def withdraw(request: HttpRequest, contributor: Contributor, credential_id: int) -> HttpResponse:
    credential = _own(contributor, credential_id)
    if credential.state == State.WITHDRAWN:
        return _see_other("credentials:receipt", credential.pk)
    if request.method != "POST":
        context = {
            "credential": credential,
            "loan": loans.detail_of(credential).loan,
            "together": same_login(credential),
            "permissions_url": loans.PERMISSIONS_URL,
        }
        return render(request, "credentials/mine_withdraw.html", context)
    revoke = request.POST.get("revoke") == "yes"
    with transaction.atomic():
        services.withdraw(credential_id=credential.pk, revoke=revoke)
        _audit(request, contributor, "credentials.withdraw", credential, revoke=revoke)
    messages.success(request, "Taken back. Thank you for having lent it.")
    return _see_other("credentials:receipt", credential.pk)


@require_safe
@contributors_only
def receipt(request: HttpRequest, contributor: Contributor, credential_id: int) -> HttpResponse:
    credential = _withdrawn(contributor, credential_id)
    return render(request, "credentials/receipt.html", _receipt(credential))


@require_safe
@contributors_only
def download_receipt(
    request: HttpRequest, contributor: Contributor, credential_id: int, form: str
) -> HttpResponse:
    context = _receipt(_withdrawn(contributor, credential_id))
    response: HttpResponse
    if form == "json":
        response = JsonResponse(msgspec.to_builtins(context["receipt"]))
    else:
        response = render(
            request, "credentials/receipt.txt", context, content_type="text/plain; charset=utf-8"
        )
    response["Content-Disposition"] = f'attachment; filename="receipt-{credential_id}.{form}"'
    return response


@csrf_exempt
@guarded
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """The link at the end of a notice. Mail programs post here by themselves (RFC 8058), so the token alone is the right to."""
    contributor = signatures.contributor_of(token)
    is_known = contributor is not None
    if contributor is not None and request.method == "POST":
        services.forget_email(contributor_id=contributor.pk)
    context = {"known": is_known, "done": is_known and request.method == "POST"}
    status = 200 if is_known else 404
    return render(request, "credentials/mine_unsubscribe.html", context, status=status)


def _overview(request: HttpRequest, contributor: Contributor, form: ContactForm) -> HttpResponse:
    lent = Paginator(loans.lent_by(contributor), _A_PAGE)
    page = lent.get_page(request.GET.get("page"))
    context = {
        "contributor": contributor,
        "page": page,
        "loans": loans.loans_of(list(page)),
        "taken_back": loans.taken_back_by(contributor),
        "served_today": loans.served_today(contributor),
        "notices": loans.notices_of(contributor),
        "rewards": rewards_of(contributor),
        "form": form,
        "link": links.link_of(contributor, site_of(request)),
        "signing_key": signatures.signing_key(contributor),
        "resets_at": loans.next_day(),
    }
    return render(request, "credentials/mine.html", context)


def _detail(request: HttpRequest, credential: Credential, form: LimitsForm) -> HttpResponse:
    detail = loans.detail_of(credential)
    context = {
        "detail": detail,
        "loan": detail.loan,
        "form": form,
        "resets_at": loans.next_day(),
    }
    return render(request, "credentials/mine_one.html", context)


def _receipt(credential: Credential) -> dict[str, object]:
    return {
        "credential": credential,
        "receipt": loans.receipt_of(credential),
        "permissions_url": loans.PERMISSIONS_URL,
    }


def _act(request: HttpRequest, credential: Credential, do: Callable[[], None]) -> HttpResponse:
    """Back to where the button was, with what came of it."""
    try:
        do()
    except GatewayError as exc:
        messages.error(request, exc.message)
    if request.POST.get("back") == "list":
        return _see_other("credentials:mine", fragment=f"loan-{credential.pk}")
    return _see_other("credentials:loan", credential.pk)


def _own(contributor: Contributor, credential_id: int) -> Credential:
    """Http404 when there is none, or it is somebody else's."""
    return get_object_or_404(contributor.credentials, pk=credential_id)


def _withdrawn(contributor: Contributor, credential_id: int) -> Credential:
    return get_object_or_404(contributor.credentials, pk=credential_id, state=State.WITHDRAWN)


def _audit(
    request: HttpRequest,
    contributor: Contributor,
    action: str,
    credential: Credential | None = None,
    **detail: object,
) -> None:
    audit.record(
        actor=f"contributor {contributor.public_id}",
        action=action,
        subject=f"credential {credential.pk}" if credential else "",
        address=request.META.get("REMOTE_ADDR") or "",
        **detail,
    )


def _see_other(name: str, *args: object, fragment: str = "") -> HttpResponse:
    """303: the browser asks for the next page with GET, and a reload sends nothing again."""
    response = HttpResponseRedirect(reverse(name, args=args) + (f"#{fragment}" if fragment else ""))
    response.status_code = 303
    return response
