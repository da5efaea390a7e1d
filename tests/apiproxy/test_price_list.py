"""The public price list, and prices on the way of a call."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone

from accounts.models import ApiKey, Group
from apiproxy import shaping
from apiproxy.catalogue import Catalogue
from apiproxy.wire.types import Action, Call, Head
from quotas.features import FEATURES, TOOLS
from quotas.services import set_multiplier, set_price


def prices_of(client):
    answer = client.get("/api/price-list")
    assert answer.status_code == 200
    return answer.json()


@pytest.mark.django_db
def test_the_list_is_public_and_says_what_a_call_costs(client, database):
    told = prices_of(client)
    models = {model["id"]: model["costs"] for model in told["models"]}
    assert models["gemini-2.5-pro"]["per_call"] == "10"
    assert not models["gemini-2.5-pro"]["by_token"]
    assert told["others"]["per_call"] == "1"
    [one] = told["multipliers"]
    assert (one["feature"], one["factor"]) == ("anti_truncation", "2")
    assert told["upcoming"] == []


@pytest.mark.django_db
def test_it_says_what_will_change(client, database):
    later = timezone.now() + timedelta(days=3)
    set_price(pattern="*pro*", input_micros_per_million=1_250_000, valid_from=later, note="Dearer.")
    set_price(pattern="*pro*", tariff="friends", per_call_micros=1, valid_from=later)
    set_price(pattern="trial", per_call_micros=0, valid_until=later + timedelta(days=1))
    set_multiplier(feature="search", factor=Decimal("1.5"), valid_from=later)
    told = prices_of(client)["upcoming"]
    assert [one["subject"] for one in told] == ["*pro*", "search", "trial"]
    dearer, search, trial = told
    assert (dearer["words"], dearer["costs"]["input_per_million"]) == ("Dearer.", "1.25")
    assert (search["factor"], search["costs"]) == ("1.5", None)
    assert (trial["factor"], trial["costs"]) == ("", None)


@pytest.mark.django_db
def test_the_page_shows_it(client, database):
    later = timezone.now() + timedelta(days=3)
    set_price(pattern="gemini-2.5-pro", input_micros_per_million=1_250_000)
    set_price(pattern="*flash*", per_call_micros=3_000_000, valid_from=later, note="Dearer & so.")
    page = client.get("/prices").content.decode()
    assert "<code>gemini-2.5-pro</code>" in page
    assert "1.25 in, 1.25 cached, 0 out, 0 thinking, for a million tokens" in page
    assert "×2" in page
    assert "Dearer &amp; so." in page
    assert "/prices" in client.get("/").content.decode()


async def test_a_price_set_for_later_counts_by_itself(edge, lent, key, monkeypatch):
    """No process is told anything when its time has come."""
    later = timezone.now() + timedelta(hours=1)
    await sync_to_async(set_price)(
        pattern="gemini-2.5-flash", per_call_micros=5_000_000, valid_from=later
    )
    first = await edge.chat(key.text)
    assert (await edge.receipt(first)).settled_micros == 2_000_000
    monkeypatch.setattr(edge.runtime.feed, "_clock", lambda: later.timestamp())
    second = await edge.chat(key.text)
    assert (await edge.receipt(second)).settled_micros == 5_000_000


async def test_a_groups_tariff_and_factor_are_charged_and_named(edge, lent, key):
    @sync_to_async
    def join():
        group = Group.objects.create(name="friends", tariff="friends", price_factor="0.8")
        ApiKey.objects.filter(pk=key.row.pk).update(group=group)
        row = ApiKey.objects.get(pk=key.row.pk)
        row.save()
        set_price(pattern="*flash*", tariff="friends", per_call_micros=1_000_001)

    await join()
    await edge.runtime.feed.update()
    answer = await edge.chat(key.text)
    receipt = await edge.receipt(answer)
    assert receipt.settled_micros == 800_001
    assert "group ×0.8" in receipt.reason
    assert (await edge.log(answer)).tariff == "friends"


def call(body, name="gemini-2.5-pro"):
    model = Catalogue([]).resolve(name)
    return Call(
        dialect="gemini",
        action=Action.GENERATE,
        model=model,
        requested_model=name,
        stream=False,
        body=body,
        head=Head("req_1", 0.0),
    )


@pytest.mark.parametrize(
    ("tools", "features"),
    [
        ([{"googleSearch": {}}], ("search",)),
        ([{"google_search": {}}, {"googleSearchRetrieval": {}}], ("search",)),
        ([{"codeExecution": {}}, {"urlContext": {}}], ("code_execution", "url_context")),
        ([{"url_context": {}, "google_maps": {}}], ("url_context", "google_maps")),
        ([{"fileSearch": {}}, {"computerUse": {}}], ("file_search", "computer_use")),
        ([{"functionDeclarations": []}], ()),
        ("nonsense", ()),
        ([None, "x", 7], ()),
    ],
)
def test_tools_are_features_in_either_spelling(tools, features):
    assert shaping.features(call({"tools": tools})) == features


@pytest.mark.parametrize(
    ("size", "features"),
    [
        ("4K", ("image_4k",)),
        ("512px", ("image_512",)),
        ("512", ("image_512",)),
        ("4K,search", ()),
        ("huge", ()),
        (7, ()),
    ],
)
def test_only_known_sizes_are_features(size, features):
    body = {"generationConfig": {"imageConfig": {"imageSize": size}}}
    assert shaping.features(call(body)) == features


def test_every_feature_has_words():
    assert set(TOOLS.values()) <= set(FEATURES)
    words = ("maxthinking", "nothinking", "max", "high", "medium", "low", "minimal")
    assert {f"thinking_{word}" for word in (*words, "auto", "budget")} <= set(FEATURES)
    assert all(len(name) <= 40 for name in FEATURES)
