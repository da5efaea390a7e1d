"""What operators and stewards do to one credential, and what came of it in words: the same for the API and the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from msgspec import Struct

from credentials import upstream
from credentials.models import Credential, Provider
from credentials.services.contributors import pause, resume
from credentials.services.editing import look_up_email
from credentials.services.readings import read_quota
from credentials.services.refreshing import refresh_access_token
from credentials.services.resting import reset_rests
from credentials.services.verdicts import set_state
from credentials.services.withdrawal import withdraw
from credentials.states import Event, IllegalMove
from gateway.lib.crypto import SecretUnreadable
from gateway.lib.errors import Conflict


class Outcome(Struct, frozen=True):
    """`done` False: it was tried, and `words` say why it came to nothing."""

    words: str
    done: bool = True
    help_url: str = ""


class Asked(Struct, frozen=True):
    """`project`: for discover_project, the one to take. `revoke`: for withdraw, also end the access at Google."""

    credential: Credential
    by: str
    project: str = ""
    revoke: bool = False


def perform(action: str, asked: Asked) -> Outcome:
    """`action`: a name of ACTIONS. Raises Conflict for what cannot be done in the state it is in, and what the upstream's
    questions raise: GatewayError.
    """
    with _in_words():
        return ACTIONS[action](asked)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except IllegalMove as exc:
        raise Conflict(f"This cannot be done now: {exc}.") from exc
    except SecretUnreadable as exc:
        raise Conflict(
            "Its secret fits none of ENCRYPTION_KEYS: give the key back that it was stored with."
        ) from exc


def _enable(asked: Asked) -> Outcome:
    set_state(credential_id=asked.credential.pk, event=Event.ENABLED, by=asked.by)
    return Outcome("It is enabled and serves again.")


def _disable(asked: Asked) -> Outcome:
    set_state(credential_id=asked.credential.pk, event=Event.DISABLED, by=asked.by)
    return Outcome("It is disabled: no call goes to it until somebody enables it.")


def _pause(asked: Asked) -> Outcome:
    pause(credential_id=asked.credential.pk, by=asked.by)
    return Outcome("It is paused.")


def _resume(asked: Asked) -> Outcome:
    resume(credential_id=asked.credential.pk, by=asked.by)
    return Outcome("It is no longer paused.")


def _test(asked: Asked) -> Outcome:
    finding = upstream.current().check([asked.credential.pk])[0]
    words = f"{finding.verdict}: {finding.detail}" if finding.detail else finding.verdict
    return Outcome(words, finding.usable, finding.help_url)


def _refresh(asked: Asked) -> Outcome:
    _only_login(asked)
    stale = asked.credential.secret.open().get("access_token", "")
    refresh_access_token(asked.credential.pk, stale)
    return Outcome("Its token is new.")


def _look_up(asked: Asked) -> Outcome:
    _only_login(asked)
    found = look_up_email(credential_id=asked.credential.pk)
    if not found.email:
        return Outcome("Google did not tell whose login it is.", done=False)
    return Outcome(f"It is the login of {found.email}.")


def _discover(asked: Asked) -> Outcome:
    _only_login(asked)
    found = upstream.current().set_up(asked.credential.pk, asked.project)
    if not found.project:
        return Outcome(found.words, False, found.help_url)
    return Outcome(found.words or f"It uses the project {found.project}.", True, found.help_url)


def _read_quota(asked: Asked) -> Outcome:
    _only_login(asked)
    readings = read_quota(credential_id=asked.credential.pk)
    if not readings:
        return Outcome("Google tells no quota for it.", done=False)
    return Outcome(f"The quota of {len(readings)} models was read.")


def _preview(asked: Asked) -> Outcome:
    _only_login(asked)
    why_not = upstream.current().enable_preview(asked.credential.pk)
    return Outcome(why_not or "It may use preview models from now on.", not why_not)


def _reset_rests(asked: Asked) -> Outcome:
    ended = reset_rests(credential_id=asked.credential.pk, by=asked.by)
    return Outcome("Its rests are ended." if ended else "It rests for nothing.")


def _withdraw(asked: Asked) -> Outcome:
    rows = withdraw(credential_id=asked.credential.pk, revoke=asked.revoke, by=asked.by)
    if len(rows) > 1:
        return Outcome(f"It is withdrawn, and {len(rows) - 1} more of the same login.")
    return Outcome("It is withdrawn.")


def _only_login(asked: Asked) -> None:
    if asked.credential.provider != Provider.CODE_ASSIST:
        raise Conflict("Only Google accounts have this; an API key has not.")


ACTIONS: Mapping[str, Callable[[Asked], Outcome]] = {
    "enable": _enable,
    "disable": _disable,
    "pause": _pause,
    "resume": _resume,
    "test": _test,
    "refresh": _refresh,
    "lookup_email": _look_up,
    "discover_project": _discover,
    "read_quota": _read_quota,
    "enable_preview": _preview,
    "reset_rests": _reset_rests,
    "withdraw": _withdraw,
}
