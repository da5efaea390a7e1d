"""The error answers of Google's two upstreams, importable without starting a server.

``ERRORS`` has one row for each case Google was seen to answer with. A row knows its HTTP status and
builds its JSON body from a few facts (model, project, when a quota resets). ``wrap`` turns a body
into the bytes of one of the forms in which Google sends it.
"""

from typing import Any

from tests.fakes import google_errors_code_assist, google_errors_gemini
from tests.fakes.google_status import CONTENT_TYPES, FORMS, ErrorCase, Refused, wrap

__all__ = ["CONTENT_TYPES", "ERRORS", "FORMS", "ErrorCase", "from_case", "wrap"]

ERRORS: dict[str, ErrorCase] = {
    name: ErrorCase(name, upstream, *row)
    for upstream, rows in (
        ("code_assist", google_errors_code_assist.ROWS),
        ("gemini_api", google_errors_gemini.ROWS),
    )
    for name, row in rows.items()
}


def from_case(name: str, **facts: Any) -> Refused:
    """The row as an exception, for refusals of the fake's own."""
    case = ERRORS[name]
    return Refused(case.http, case.body(**facts))
