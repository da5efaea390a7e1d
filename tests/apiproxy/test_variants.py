from __future__ import annotations

import pytest

from apiproxy import variants
from apiproxy.catalogue import Catalogue
from apiproxy.wire.types import PLAIN, Model, Thinking, Variant
from gateway.lib.errors import UnknownModel

LEVELS = Thinking(control="level", levels=("low", "medium", "high"))
BUDGET = Thinking(control="budget", min_budget=128, max_budget=32768)
CHAT = frozenset({"chat", "search"})
DRAWS = frozenset({"chat", "image_output"})

PRO = Model(id="gemini-2.5-pro", providers=("gemini_api",), capabilities=CHAT, thinking=BUDGET)
MODELS = [
    PRO,
    Model(
        id="gemini-3.1-flash-lite", providers=("gemini_api",), thinking=LEVELS, aliases=("lite",)
    ),
    Model(id="gemini-3.5-max", providers=("gemini_api",)),
    Model(id="gemini-2.5-flash-image", providers=("gemini_api",), capabilities=DRAWS),
    Model(id="gemini-3-pro-image", providers=("gemini_api",), capabilities=DRAWS),
    Model(id="gemini-3-pro-image-2k", providers=("gemini_web",), capabilities=DRAWS),
    Model(id="gemini-2.5-flash-preview-tts", providers=("gemini_api",)),
    Model(
        id="gemini-embedding-001", providers=("gemini_api",), capabilities=frozenset({"embedding"})
    ),
]
ALIASES = [
    ("claude-*", "gemini-2.5-pro"),
    ("codex-max", "gemini-3.1-flash-lite"),
    ("gemini-old", "gemini-2.5-pro"),
    ("*-mini", "gemini-3.1-flash-lite"),
]
CATALOGUE = Catalogue(MODELS, ALIASES)

FAKE = Variant(fake_stream=True)
UNCUT = Variant(anti_truncation=True)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("假流式/gemini-2.5-pro", FAKE),
        ("fake-stream/gemini-2.5-pro", FAKE),
        ("gemini-2.5-pro-假流式", FAKE),
        ("流式抗截断/gemini-2.5-pro", UNCUT),
        ("抗截断/gemini-2.5-pro", UNCUT),
        ("anti-truncation/gemini-2.5-pro", UNCUT),
        ("anti-trunc/gemini-2.5-pro", UNCUT),
        ("gemini-2.5-pro-流式抗截断", UNCUT),
        *(
            (f"gemini-2.5-pro-{word}", Variant(thinking=word))
            for word in ("maxthinking", "nothinking", "max", "high", "medium", "low", "minimal")
        ),
        ("gemini-2.5-pro-search", Variant(search=True)),
        ("gemini-2.5-pro-think", PLAIN),
        ("gemini-2.5-pro-think-high", Variant(thinking="high")),
        ("gemini-2.5-pro(8192)", Variant(thinking="budget", thinking_budget=8192)),
        ("gemini-2.5-pro(high)", Variant(thinking="high")),
        ("gemini-2.5-pro(xhigh)", Variant(thinking="max")),
        ("gemini-2.5-pro(auto)", Variant(thinking="auto")),
        ("gemini-2.5-pro(-1)", Variant(thinking="auto")),
        ("gemini-2.5-pro(none)", Variant(thinking="nothinking")),
        ("gemini-2.5-pro(0)", Variant(thinking="nothinking")),
        ("gemini-2.5-pro-search-high", Variant(search=True, thinking="high")),
        ("gemini-2.5-pro-high-search", Variant(search=True, thinking="high")),
        ("gemini-2.5-pro-search(low)", Variant(search=True, thinking="low")),
        (
            "假流式/流式抗截断/gemini-2.5-pro-low-search",
            Variant(fake_stream=True, anti_truncation=True, thinking="low", search=True),
        ),
        (
            "抗截断/fake-stream/gemini-2.5-pro-search",
            Variant(fake_stream=True, anti_truncation=True, search=True),
        ),
        ("流式抗截断/gemini-2.5-pro-假流式", Variant(fake_stream=True, anti_truncation=True)),
    ],
)
def test_what_a_name_says(name, variant):
    model = CATALOGUE.resolve(name)
    assert (model.id, model.variant) == ("gemini-2.5-pro", variant)
    assert model.thinking == PRO.thinking


@pytest.mark.parametrize(
    "name",
    [
        "models/假流式/gemini-2.5-pro",
        "假流式/models/gemini-2.5-pro",
        "  假流式/gemini-2.5-pro ",
        "%E5%81%87%E6%B5%81%E5%BC%8F/gemini-2.5-pro",
        "假流式%2Fgemini-2.5-pro",
    ],
)
def test_every_spelling_of_it(name):
    assert CATALOGUE.resolve(name).variant == FAKE


def test_composed_and_decomposed_characters_are_the_same():
    catalogue = Catalogue([Model(id="caf\u00e9", providers=("sandbox",))])
    assert catalogue.resolve("fake-stream/cafe\u0301-high").id == "caf\u00e9"


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("gemini-3.1-flash-lite", "gemini-3.1-flash-lite"),
        ("gemini-3.5-max", "gemini-3.5-max"),
        ("gemini-3-pro-image-2k", "gemini-3-pro-image-2k"),
        ("claude-4-high", "gemini-2.5-pro"),
        ("codex-max", "gemini-3.1-flash-lite"),
        ("gemini-old", "gemini-2.5-pro"),
    ],
)
def test_a_name_that_exists_is_never_cut(name, id):
    model = CATALOGUE.resolve(name)
    assert (model.id, model.variant) == (id, PLAIN)


@pytest.mark.parametrize(
    ("name", "id", "variant"),
    [
        ("gemini-3.5-max-high", "gemini-3.5-max", Variant(thinking="high")),
        ("fake-stream/gemini-3-pro-image-2k", "gemini-3-pro-image-2k", FAKE),
        ("gemini-3-pro-image-4K", "gemini-3-pro-image", Variant(image_size="4K")),
        ("fake-stream/claude-4-high", "gemini-2.5-pro", FAKE),
        (
            "fake-stream/lite-low",
            "gemini-3.1-flash-lite",
            Variant(fake_stream=True, thinking="low"),
        ),
        ("gpt-mini-high", "gemini-3.1-flash-lite", Variant(thinking="high")),
        ("codex-max-low", "gemini-3.1-flash-lite", Variant(thinking="low")),
    ],
)
def test_the_rest_is_looked_up_at_every_cut(name, id, variant):
    model = CATALOGUE.resolve(name)
    assert (model.id, model.variant) == (id, variant)


@pytest.mark.parametrize(
    ("name", "id", "variant"),
    [
        ("gemini-9-ultra-high", "gemini-9-ultra", Variant(thinking="high")),
        ("假流式/gemini-9-ultra", "gemini-9-ultra", FAKE),
        ("gemini-9-image-4k", "gemini-9-image", Variant(image_size="4K")),
        ("tunedModels/ours-high", "tunedModels/ours-high", PLAIN),
        ("fake-stream/tunedModels/ours-high", "tunedModels/ours-high", FAKE),
        # Text has no size: this is a name of Google's, or none.
        ("gemini-2.5-pro-4k", "gemini-2.5-pro-4k", PLAIN),
    ],
)
def test_names_that_only_google_may_know(name, id, variant):
    model = CATALOGUE.resolve(name)
    assert (model.id, model.variant, model.listed) == (id, variant, False)


@pytest.mark.parametrize(
    "name",
    [
        "gpt-4o-high",
        "假流式/gpt-4o",
        "假流式/",
        "假流式/假流式/gemini-2.5-pro",
        "gpt-4o(high)",
        "-high",
        "(high)",
        "fake-stream/" * 30 + "gemini-2.5-pro",
    ],
)
def test_made_up_names_stay_unknown(name):
    with pytest.raises(UnknownModel):
        CATALOGUE.resolve(name)


def test_a_second_word_of_the_same_kind_belongs_to_the_name():
    assert CATALOGUE.resolve("gemini-2.5-pro-high-low").id == "gemini-2.5-pro-high"


def test_an_alias_may_stand_for_a_variant():
    catalogue = Catalogue(
        MODELS, [("claude-*", "gemini-2.5-pro-high-search"), ("opus", "gemini-2.5-pro-max")]
    )
    high = Variant(thinking="high", search=True)
    assert catalogue.resolve("claude-4").variant == high
    assert catalogue.resolve("claude-4").id == "gemini-2.5-pro"
    assert catalogue.resolve("opus").variant == Variant(thinking="max")
    faked = Variant(fake_stream=True, thinking="max")
    assert catalogue.resolve("fake-stream/opus").variant == faked
    assert catalogue.resolve("opus-low").variant == Variant(thinking="low")


def test_a_glob_takes_no_prefix():
    catalogue = Catalogue([PRO], [("*", "gemini-2.5-pro")])
    assert catalogue.resolve("假流式/anything").variant == FAKE


def test_resolved_names_are_remembered_but_not_for_ever():
    catalogue = Catalogue([PRO])
    assert catalogue.resolve("gemini-2.5-pro-high") is catalogue.resolve("gemini-2.5-pro-high")
    for number in range(2000):
        catalogue.resolve(f"gemini-9-{number}-high")
    assert len(catalogue._resolved) <= 1024


def test_lists_show_what_can_be_asked_for():
    listed = CATALOGUE.listed(with_variants=True)
    names = [model.name for model in listed]
    assert len(names) == len(set(names))
    assert [model.name for model in CATALOGUE.listed()] == [model.id for model in MODELS]
    for model in listed:
        assert CATALOGUE.resolve(model.name).id == model.id
        assert CATALOGUE.resolve(model.name).variant_name in ("", model.name)


def test_each_family_lists_its_own_words():
    assert set(variants.names(PRO)) >= {
        "gemini-2.5-pro-max",
        "gemini-2.5-pro-minimal-search",
        "假流式/gemini-2.5-pro",
        "流式抗截断/gemini-2.5-pro-high-search",
    }
    assert len(list(variants.names(PRO))) == 3 * 6 * 2 - 1
    lite = set(variants.names(MODELS[1]))
    assert "gemini-3.1-flash-lite-low" in lite
    assert "gemini-3.1-flash-lite-minimal" not in lite
    assert set(variants.names(MODELS[4])) == {
        "gemini-3-pro-image-2k",
        "gemini-3-pro-image-4k",
        "假流式/gemini-3-pro-image",
        "假流式/gemini-3-pro-image-2k",
        "假流式/gemini-3-pro-image-4k",
    }
    assert list(variants.names(MODELS[6])) == []
    assert list(variants.names(MODELS[7])) == []
