"""Which models there are. The entries are data; names Google may know pass through without one. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from urllib.parse import unquote

from msgspec.structs import replace

from apiproxy import variants
from apiproxy.wire.types import PLAIN, Model, Thinking, Variant
from gateway.lib.errors import InvalidRequest, UnknownModel

# Families Google serves under names the catalogue need not know yet (reference 0: model lists change monthly). Of
# text-embedding-… those with a number of three digits are Google's, the others OpenAI's.
_GOOGLE_NAME = re.compile(
    r"(gemini|gemma|learnlm|imagen|veo|lyria|text-embedding-0|embedding|tunedModels/|aqa)[\w./:@-]*",
    re.ASCII,
)
_PREFIXES = ("models/", "google/")
_MAX_NAME_CHARACTERS = 200
# With its prefixes, and with each character percent-encoded.
_MAX_WRITTEN_CHARACTERS = 10 * _MAX_NAME_CHARACTERS
_MOST_RESOLVED = 1024

_CHAT = frozenset({"chat", "vision", "audio", "tools", "json", "search"})


class Catalogue:
    def __init__(self, models: Iterable[Model], aliases: Iterable[tuple[str, str]] = ()) -> None:
        """`aliases`: (glob, target) for the names of other vendors' models."""
        self._models = list(models)
        self._by_name: dict[str, Model] = {}
        for model in self._models:
            for name in (*model.aliases, model.id):
                self._by_name[name] = model
        aliases = list(aliases)
        self._targets = dict(aliases)
        # The glob that says most comes first.
        self._globs = sorted(
            (alias for alias in aliases if _literal(alias[0]) < len(alias[0])),
            key=lambda alias: (-_literal(alias[0]), alias[0]),
        )
        self._resolved: dict[str, Model] = {}

    def resolve(self, name: str) -> Model:
        """The entry a client means, with what its name says beside it; raises UnknownModel."""
        found = self._by_name.get(name) or self._resolved.get(name)
        if found is not None:
            return found
        if not name:
            raise InvalidRequest("name a model", param="model")
        bare = _bare(name[:_MAX_WRITTEN_CHARACTERS])
        fits = len(name) <= _MAX_WRITTEN_CHARACTERS and len(bare) <= _MAX_NAME_CHARACTERS
        found = self._look_up(bare) if fits else None
        if found is None:
            shown = bare[:_MAX_NAME_CHARACTERS]
            raise UnknownModel(
                f"the model {shown!r} does not exist here: GET /v1/models lists those that do",
                param="model",
            )
        if len(self._resolved) >= _MOST_RESOLVED:
            # Clients can make names up without end.
            self._resolved.clear()
        self._resolved[name] = found
        return found

    def _look_up(self, name: str) -> Model | None:
        """Names that exist, whatever has to be cut from this one; then names Google may know; then globs."""
        cuts = list(_cuts(name))
        for rest, variant in cuts:
            found = self._named(rest)
            if found is not None and variants.fits(found, variant):
                return _as(found, variant, name)
        if (passing := _passing(cuts)) is not None:
            return _as(*passing, name)
        for rest, variant in cuts:
            # A glob such as * would take a prefix for a part of the name.
            if variants.without_prefix(rest, PLAIN) is None and (found := self._globbed(rest)):
                return _as(found, variant, name)
        return None

    def _globbed(self, name: str) -> Model | None:
        target = next((target for glob, target in self._globs if fnmatchcase(name, glob)), None)
        return None if target is None else self._target(target)

    def _named(self, name: str) -> Model | None:
        found = self._by_name.get(name)
        if found is None and (target := self._targets.get(name)) is not None:
            found = self._target(target)
        return found

    def _target(self, name: str) -> Model:
        """What an alias stands for; it may be a variant."""
        for rest, variant in _cuts(name):
            if (found := self._by_name.get(rest)) is not None and variants.fits(found, variant):
                return _as(found, variant, name)
        return _unlisted(name)

    def listed(self, *, with_variants: bool = False) -> list[Model]:
        return self._with_variants if with_variants else self._models

    @cached_property
    def _with_variants(self) -> list[Model]:
        """Each model, followed by its variants; a name is what `resolve` makes of it, and stands here once."""
        shown: dict[str, Model] = {}
        for model in self._models:
            shown[model.id] = model
            for name in variants.names(model):
                if name not in self._by_name and (found := self._look_up(name)) is not None:
                    shown.setdefault(name, found)
        return list(shown.values())


def _cuts(name: str) -> Iterator[tuple[str, Variant]]:
    """The name as it is, then less one prefix or suffix after the other."""
    rest, variant = name, PLAIN
    yield rest, variant
    for cut in (variants.without_prefix, variants.without_suffix):
        # Tuned models have names of their owners' making.
        while not rest.startswith("tunedModels/") and (less := cut(rest, variant)) is not None:
            rest, variant = _bare(less[0]), less[1]
            yield rest, variant


def _passing(cuts: list[tuple[str, Variant]]) -> tuple[Model, Variant] | None:
    """The shortest name that Google may know."""
    for rest, variant in reversed(cuts):
        if _GOOGLE_NAME.fullmatch(rest):
            model = _unlisted(rest)
            if variants.fits(model, variant):
                return model, variant
    return None


def _as(model: Model, variant: Variant, name: str) -> Model:
    if variant == PLAIN:
        return model
    return replace(model, variant=variants.both(variant, model.variant), variant_name=name)


def _literal(pattern: str) -> int:
    return sum(character not in "*?[]" for character in pattern)


def _bare(name: str) -> str:
    if "%" in name:
        name = unquote(name)
    name = unicodedata.normalize("NFC", name.strip())
    while name.startswith(_PREFIXES):
        name = name.partition("/")[2]
    return name


@lru_cache(maxsize=1024)
def _unlisted(name: str) -> Model:
    if "embedding" in name:
        return Model(
            id=name,
            providers=("gemini_api",),
            display_name=name,
            listed=False,
            capabilities=frozenset({"embedding"}),
        )
    draws = "image" in name
    third_generation = re.match(r"gemini-(\d+)", name)
    recent = third_generation is not None and int(third_generation[1]) >= 3
    return Model(
        id=name,
        providers=("gemini_api", "code_assist"),
        display_name=name,
        listed=False,
        capabilities=_CHAT | {"image_output"} if draws else _CHAT,
        strict_signatures=recent,
        tools_with_json=recent,
        # Level by level is the rule from the third generation on; the lowest common set is safe.
        thinking=Thinking(control="level", levels=("low", "medium", "high"))
        if recent and not draws
        else Thinking(),
    )
