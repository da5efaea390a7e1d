"""Which models there are. The entries are data; names Google may know pass through without one. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache

from apiproxy.wire.types import Model, Thinking
from gateway.lib.errors import InvalidRequest, UnknownModel

# Families Google serves under names the catalogue need not know yet (reference 0: model lists change monthly).
_GOOGLE_NAME = re.compile(
    r"(gemini|gemma|learnlm|imagen|veo|lyria|text-embedding|embedding|tunedModels/|aqa)[\w./:@-]*",
    re.ASCII,
)
_PREFIXES = ("models/", "google/")
_MAX_NAME_CHARACTERS = 200


class Catalogue:
    def __init__(self, models: Iterable[Model], aliases: Iterable[tuple[str, str]] = ()) -> None:
        """`aliases`: (glob, target) for the names of other vendors' models."""
        self._models = list(models)
        # The glob that says most comes first.
        self._aliases = sorted(aliases, key=lambda alias: (-_literal(alias[0]), alias[0]))
        self._by_name: dict[str, Model] = {}
        for model in self._models:
            for name in (*model.aliases, model.id):
                self._by_name[name] = model

    def resolve(self, name: str) -> Model:
        """The entry a client means; raises UnknownModel.

        Name variants (prefixes and suffixes that change the call) are cut here, once they exist: a full name that is
        an entry is found before anything is cut from it.
        """
        found = self._by_name.get(name)
        if found is not None:
            return found
        if not name:
            raise InvalidRequest("name a model", param="model")
        bare = _bare(name)
        found = self._by_name.get(bare)
        if found is not None:
            return found
        if len(bare) <= _MAX_NAME_CHARACTERS and _GOOGLE_NAME.fullmatch(bare):
            return _unlisted(bare)
        for pattern, target in self._aliases:
            if fnmatchcase(bare, pattern):
                return self._by_name.get(target) or _unlisted(target)
        shown = bare[:_MAX_NAME_CHARACTERS]
        raise UnknownModel(
            f"the model {shown!r} does not exist here: GET /v1/models lists those that do",
            param="model",
        )

    def listed(self) -> list[Model]:
        return self._models


def _literal(pattern: str) -> int:
    return sum(character not in "*?[]" for character in pattern)


def _bare(name: str) -> str:
    name = unicodedata.normalize("NFC", name.strip())
    while name.startswith(_PREFIXES):
        name = name.partition("/")[2]
    return name


@lru_cache(maxsize=1024)
def _unlisted(name: str) -> Model:
    third_generation = re.match(r"gemini-(\d+)", name)
    recent = third_generation is not None and int(third_generation[1]) >= 3
    return Model(
        id=name,
        providers=("gemini_api", "code_assist"),
        display_name=name,
        listed=False,
        capabilities=frozenset({"chat", "vision", "audio", "tools", "json", "search"}),
        strict_signatures=recent,
        tools_with_json=recent,
        # Level by level is the rule from the third generation on; the lowest common set is safe.
        thinking=Thinking(control="level", levels=("low", "medium", "high"))
        if recent
        else Thinking(),
    )
