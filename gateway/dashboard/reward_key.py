"""A contributor without an account makes a key from what was earned. Here, as those who keep keys and those who keep contributors do not
know each other."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.services.earned import issue_key_on, key_on
from accounts.services.rotation import rotate_key
from credentials.models import Contributor
from credentials.views.private import contributors_only
from gateway.lib import audit
from gateway.lib.errors import Conflict


@require_POST
@contributors_only
def make_reward_key(request: HttpRequest, contributor: Contributor) -> HttpResponse:
    """The key of the contributor's balance, or a new secret for it; shown this once."""
    try:
        with transaction.atomic():
            # Two clicks wait here for each other.
            contributor = Contributor.objects.select_for_update().get(pk=contributor.pk)
            if contributor.balance is None:
                raise Conflict("Nothing is booked yet: come back when your first reward is.")
            key = key_on(contributor.balance_id)
            again = key is not None
            if key is None:
                key, secret = issue_key_on(
                    balance=contributor.balance, description=f"rewards of {contributor}"
                )
            elif key.deleted_at is not None:
                raise Conflict("Your key was deleted by the operator of this site: ask them.")
            else:
                key, secret = rotate_key(key=key)
            audit.record(
                actor=f"contributor {contributor.public_id}",
                action="keys.rotate" if again else "keys.create",
                subject=f"key {key.public_id}",
                address=request.META.get("REMOTE_ADDR") or "",
            )
    except Conflict as exc:
        messages.error(request, exc.message)
        response = HttpResponseRedirect(reverse("credentials:mine") + "#rewards")
        response.status_code = 303
        return response
    return render(request, "credentials/mine_key.html", {"secret": secret, "again": again})
