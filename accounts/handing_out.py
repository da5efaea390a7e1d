"""Keys that were just made, on their way to the one who asked for them: they are told this once and kept by nobody."""

from __future__ import annotations

from collections.abc import Iterable

from django.http import StreamingHttpResponse

from accounts import links, shown
from accounts.services.batches import Issued


def handed_out(made: Issued, site: str) -> dict[str, str]:
    facts = {"id": made.row.public_id, "description": made.row.description}
    if made.code:
        return {**facts, "claim_link": links.claim_link(made.code, site)}
    return {**facts, "api_key": made.key}


def handed_out_csv(made: list[Issued], site: str) -> bytes:
    rows = [tuple(handed_out(one, site).values()) for one in made]
    return shown.lines([tuple(handed_out(made[0], site)), *rows])


def csv_file(chunks: Iterable[bytes], name: str, *, status: int = 200) -> StreamingHttpResponse:
    """Kept by nobody on the way."""
    response = StreamingHttpResponse(chunks, content_type="text/csv; charset=utf-8", status=status)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
