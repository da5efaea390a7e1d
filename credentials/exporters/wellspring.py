"""Our own: nothing is lost on the way to another Wellspring. Names, states and tags stand in the manifest beside it."""

from __future__ import annotations

from credentials.exporters import gcli2api
from credentials.exporters.leaving import Leaving, as_bytes
from credentials.importers.detect import OUR_KEY_TYPE

TITLE = "Backup: everything, with names and states, as a locked ZIP"
PROVIDERS = frozenset({"code_assist", "gemini_api"})
LOCKED = True
LIST = False


def render(leaving: Leaving) -> bytes:
    if leaving.provider == "gemini_api":
        return as_bytes({"type": OUR_KEY_TYPE, "api_key": leaving.secret.get("api_key", "")})
    return as_bytes(gcli2api.fields(leaving))
