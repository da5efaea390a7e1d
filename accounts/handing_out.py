"""Keys that were just made, on their way to the one who asked for them: they are told this once and kept by nobody."""

from __future__ import annotations

from django.http import HttpRequest, StreamingHttpResponse

from accounts import links
from accounts.services.batches import Issued
from gateway.lib.tables import csv_response


def handed_out(made: Issued, site: str) -> dict[str, str]:
    facts = {"id": made.row.public_id, "description": made.row.description}
    if made.code:
        return {**facts, "claim_link": links.claim_link(made.code, site)}
    return {**facts, "api_key": made.key}


def handed_out_csv(request: HttpRequest, made: list[Issued], site: str) -> StreamingHttpResponse:
    rows = [tuple(handed_out(one, site).values()) for one in made]
    return csv_response(request, "keys.csv", tuple(handed_out(made[0], site)), rows)
