"""The models a site offers, and the names they go by."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from gateway.lib.models import Revisioned


def default_capabilities() -> list[str]:
    return ["chat"]


class CatalogueModel(Revisioned):
    """A model this site offers. Clients may name others that Google knows; those have no entry."""

    TOPIC: ClassVar[str] = "catalogue"

    name = models.CharField(max_length=200, unique=True)
    display_name = models.CharField(max_length=200, blank=True)
    aliases = models.JSONField(
        default=list, blank=True, help_text="Other names that mean this one."
    )
    providers = models.JSONField(
        default=list, help_text="Kinds of credentials that serve it, such as gemini_api."
    )
    capabilities = models.JSONField(
        default=default_capabilities,
        help_text="Of: chat, vision, audio, tools, json, search, image_output, candidates.",
    )
    thinking = models.JSONField(
        default=dict,
        blank=True,
        help_text='{"control": "budget", "min_budget": …, "max_budget": …, "can_disable": …} or '
        '{"control": "level", "levels": […]}; empty: the model takes no thinking settings.',
    )
    strict_signatures = models.BooleanField(default=False)
    tools_with_json = models.BooleanField(default=False)
    input_limit_tokens = models.IntegerField(default=1_048_576)
    output_limit_tokens = models.IntegerField(default=65_536)
    listed = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["name"]
        verbose_name = "model"

    def __str__(self) -> str:
        return self.name


class ModelAlias(Revisioned):
    """A name that clients use for one of another vendor's models -> the model that answers here."""

    TOPIC: ClassVar[str] = "catalogue"

    pattern = models.CharField(
        max_length=200,
        unique=True,
        help_text="A name or a glob such as claude-*haiku*; the one with the most literal characters wins.",
    )
    target = models.CharField(
        max_length=200, help_text="A model of the catalogue, or a variant of one."
    )

    class Meta(Revisioned.Meta):
        abstract = False
        ordering: ClassVar = ["pattern"]
        verbose_name_plural = "model aliases"

    def __str__(self) -> str:
        return f"{self.pattern} → {self.target}"
