from __future__ import annotations

import pytest

from apiproxy.catalogue import Catalogue
from apiproxy.wire.types import Model
from gateway.lib.errors import InvalidRequest, UnknownModel

CATALOGUE = Catalogue(
    [
        Model(id="gemini-2.5-flash", providers=("gemini_api",), aliases=("fast",)),
        Model(id="sandbox-echo", providers=("sandbox",)),
    ]
)


@pytest.mark.parametrize(
    "name",
    [
        "gemini-2.5-flash",
        "models/gemini-2.5-flash",
        "google/gemini-2.5-flash",
        "models/models/fast",
        "fast",
        " fast ",
    ],
)
def test_every_spelling_finds_the_entry(name):
    assert CATALOGUE.resolve(name).id == "gemini-2.5-flash"


@pytest.mark.parametrize(
    "name", ["gemini-9-ultra", "gemma-9", "models/gemini-3.9-pro", "tunedModels/mine-1"]
)
def test_names_google_may_know_pass_through(name):
    model = CATALOGUE.resolve(name)
    assert model.id == name.removeprefix("models/")
    assert model.providers == ("gemini_api", "code_assist")


def test_what_passes_through_is_treated_as_its_generation():
    assert CATALOGUE.resolve("gemini-3.9-pro").strict_signatures
    assert not CATALOGUE.resolve("gemini-2.9-pro").strict_signatures


@pytest.mark.parametrize(
    "name", ["gpt-4o", "claude", "../gemini", "gemini-1 5", "gemini?key=1", "x" * 500]
)
def test_other_names_are_unknown(name):
    with pytest.raises(UnknownModel, match="does not exist here") as raised:
        CATALOGUE.resolve(name)
    assert raised.value.param == "model"
    assert len(raised.value.message) < 400


def test_a_name_is_not_peeled_without_end():
    with pytest.raises(UnknownModel) as raised:
        CATALOGUE.resolve("models/" * 20_000 + "fast")
    assert len(raised.value.message) < 400


@pytest.mark.parametrize("name", ["text-embedding-3-small", "text-embedding-ada-002"])
def test_openais_embedding_models_are_not_googles(name):
    """They begin as Google's older ones do: asking for them in vain costs time, and hides a glob that names them."""
    with pytest.raises(UnknownModel):
        CATALOGUE.resolve(name)
    assert CATALOGUE.resolve("text-embedding-004").providers == ("gemini_api",)
    vectors = Model(id="vectors", providers=("gemini_api",))
    assert Catalogue([vectors], [("text-embedding-*", "vectors")]).resolve(name).id == "vectors"


def test_no_name_is_a_bad_request():
    with pytest.raises(InvalidRequest):
        CATALOGUE.resolve("")
