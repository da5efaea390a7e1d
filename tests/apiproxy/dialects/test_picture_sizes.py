import pytest

from apiproxy.dialects.picture_sizes import image_config
from apiproxy.wire.types import Model
from gateway.lib.errors import InvalidRequest


def model(name):
    return Model(id=name, providers=(), capabilities=frozenset({"image_output"}))


OLD, LONG, PRO = map(
    model, ("gemini-2.5-flash-image", "gemini-3.1-flash-image", "gemini-3-pro-image")
)


def config(drawer, size="", quality=""):
    dropped = []
    found = image_config(drawer, size=size, quality=quality, dropped=dropped)
    return found.get("aspectRatio", ""), found.get("imageSize", ""), len(dropped)


@pytest.mark.parametrize(
    ("drawer", "size", "expected"),
    [
        (OLD, "", ("", "", 0)),
        (OLD, "auto", ("", "", 0)),
        (OLD, "1024x1024", ("1:1", "", 0)),
        (OLD, "1024X1536", ("2:3", "", 0)),
        (OLD, "1536 x 1024", ("3:2", "", 0)),
        (OLD, "1792x1024", ("16:9", "", 0)),
        (OLD, "2048x2048", ("1:1", "", 1)),
        (OLD, "1000x8000", ("9:16", "", 1)),
        (OLD, "4K", ("", "", 1)),
        (OLD, "square", ("1:1", "", 0)),
        (OLD, "landscape", ("3:2", "", 0)),
        (OLD, "portrait", ("2:3", "", 0)),
        (OLD, "21:9", ("21:9", "", 0)),
        (OLD, "16/9", ("16:9", "", 0)),
        (OLD, "7:5", ("4:3", "", 0)),
        (PRO, "2048x1152", ("16:9", "2K", 0)),
        (PRO, "4096x4096", ("1:1", "4K", 0)),
        (PRO, "2k", ("", "2K", 0)),
        (PRO, "1K", ("", "", 0)),
        (PRO, "512", ("", "", 1)),
        (PRO, "1:8", ("9:16", "", 0)),
        (LONG, "512", ("", "512", 0)),
        (LONG, "1:8", ("1:8", "", 0)),
        (LONG, "400x3000", ("1:8", "2K", 0)),
    ],
)
def test_a_size_becomes_what_the_model_has(drawer, size, expected):
    assert config(drawer, size) == expected


@pytest.mark.parametrize(
    ("quality", "size", "expected"),
    [
        ("low", "", ("", "", 0)),
        ("medium", "", ("", "2K", 0)),
        ("high", "", ("", "4K", 0)),
        ("hd", "", ("", "2K", 0)),
        ("auto", "", ("", "", 0)),
        ("standard", "", ("", "", 0)),
        ("high", "1024x1024", ("1:1", "", 0)),
        ("high", "3:2", ("3:2", "4K", 0)),
    ],
)
def test_quality_decides_where_no_pixels_do(quality, size, expected):
    assert config(PRO, size, quality) == expected


def test_quality_without_a_choice_of_sizes_is_noted():
    assert config(OLD, "", "high") == ("", "", 1)


@pytest.mark.parametrize(
    ("size", "quality", "param"),
    [
        ("huge", "", "size"),
        ("0x100", "", "size"),
        ("1x1", "", "size"),
        ("100x", "", "size"),
        ("1:0", "", "size"),
        ("١٠٢٤x١٠٢٤", "", "size"),
        ("", "best", "quality"),
    ],
)
def test_anything_else_is_refused(size, quality, param):
    with pytest.raises(InvalidRequest) as caught:
        image_config(PRO, size=size, quality=quality, dropped=[])
    assert caught.value.param == param
