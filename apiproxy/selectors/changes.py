"""What every process keeps in memory: what changed of it, the catalogue and the rules."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import Struct

from accounts.selectors import changed_public_ids_since
from apiproxy.catalogue import Catalogue
from apiproxy.models import CatalogueModel, ModelAlias, VerdictRule
from apiproxy.rules import Rule
from apiproxy.wire.types import Model, Thinking
from credentials import selectors as credential_selectors
from gateway.lib import site_settings
from gateway.lib.credits import MICROS_PER_CREDIT
from gateway.lib.models import Revision
from quotas import selectors as quota_selectors
from quotas.pricing import PriceBook

FOLLOWED = ("keys", "credentials", "prices", "catalogue", "rules", site_settings.TOPIC)


class Changes(Struct):
    """What changed since the numbers given: None or [] where nothing did. `seen` are the numbers for the next time."""

    seen: dict[str, int]
    public_ids: list[str] = []
    credentials: tuple[credential_selectors.CredentialSnapshot, ...] = ()
    model_states: tuple[credential_selectors.ModelStateSnapshot, ...] = ()
    unreadable: tuple[int, ...] = ()
    catalogue: Catalogue | None = None
    prices: PriceBook | None = None
    rules: tuple[Rule, ...] | None = None
    settings: dict[str, Any] | None = None


def changes_since(seen: dict[str, int]) -> Changes:
    """One query when nothing changed; -1 for a topic means: everything."""
    numbers = dict(Revision.objects.filter(topic__in=FOLLOWED).values_list("topic", "number"))
    changes = Changes(seen={topic: numbers.get(topic, 0) for topic in FOLLOWED})
    changed = {topic for topic in FOLLOWED if changes.seen[topic] != seen.get(topic, -1)}
    if "keys" in changed:
        changes.public_ids, _ = changed_public_ids_since(seen.get("keys", -1))
    if "credentials" in changed:
        rows = credential_selectors.usable_rows_since(max(seen.get("credentials", 0), 0))
        changes.credentials, changes.model_states = rows.credentials, rows.models
        changes.unreadable = rows.unreadable
    if "catalogue" in changed:
        changes.catalogue = catalogue()
    if "prices" in changed:
        changes.prices = quota_selectors.price_book()
    if "rules" in changed:
        changes.rules = rules()
    if site_settings.TOPIC in changed:
        _, changes.settings = site_settings.stored()
    return changes


def catalogue() -> Catalogue:
    return Catalogue(
        map(_model, CatalogueModel.objects.filter(listed=True)),
        ModelAlias.objects.values_list("pattern", "target"),
    )


def _model(entry: CatalogueModel) -> Model:
    thinking = entry.thinking or {}
    return Model(
        id=entry.name,
        providers=tuple(entry.providers),
        display_name=entry.display_name or entry.name,
        aliases=tuple(entry.aliases),
        capabilities=frozenset(entry.capabilities),
        strict_signatures=entry.strict_signatures,
        tools_with_json=entry.tools_with_json,
        thinking=Thinking(
            control=thinking.get("control", "none"),
            min_budget=thinking.get("min_budget", 0),
            max_budget=thinking.get("max_budget", 0),
            can_disable=thinking.get("can_disable", False),
            levels=tuple(thinking.get("levels", ())),
        ),
        input_limit_tokens=entry.input_limit_tokens,
        output_limit_tokens=entry.output_limit_tokens,
        created=int(entry.created_at.timestamp()),
    )


def rules() -> tuple[Rule, ...]:
    """Those in use, in their order."""
    return tuple(row.rule for row in VerdictRule.objects.filter(enabled=True))


def listed_models() -> list[dict[str, Any]]:
    """For pages: id, display_name, providers, what a call costs in credits, and whether its tokens cost beside."""
    prices = quota_selectors.price_list()
    return [
        {
            "id": entry.name,
            "display_name": entry.display_name or entry.name,
            "providers": entry.providers,
            "price_credits": Decimal(prices.of(entry.name).per_call_micros) / MICROS_PER_CREDIT,
            "by_token": prices.of(entry.name).by_token,
        }
        for entry in CatalogueModel.objects.filter(listed=True)
    ]
