from __future__ import annotations

import pytest

from apiproxy.dialects.grounding import joined

FIRST = {
    "webSearchQueries": ["a"],
    "searchEntryPoint": {"renderedContent": "first"},
    "groundingChunks": [{"web": {"uri": "1"}}, {"web": {"uri": "2"}}],
    "groundingSupports": [{"segment": {"endIndex": 3}, "groundingChunkIndices": [1]}],
}


def test_the_second_counts_on_from_the_first():
    second = {
        "groundingChunks": [{"web": {"uri": "3"}}],
        "groundingSupports": [
            {
                "segment": {"startIndex": 2, "endIndex": 4, "text": "xy"},
                "groundingChunkIndices": [0],
            }
        ],
        "searchEntryPoint": {"renderedContent": "second"},
    }
    both = joined(FIRST, second, 10)
    assert [chunk["web"]["uri"] for chunk in both["groundingChunks"]] == ["1", "2", "3"]
    assert both["groundingSupports"] == [
        *FIRST["groundingSupports"],
        {"segment": {"startIndex": 12, "endIndex": 14, "text": "xy"}, "groundingChunkIndices": [2]},
    ]
    assert both["webSearchQueries"] == ["a"]
    assert both["searchEntryPoint"] == {"renderedContent": "second"}
    assert len(FIRST["groundingChunks"]) == 2


def test_without_a_first_it_stays_as_it_is():
    assert joined({}, FIRST, 0)["groundingChunks"] == FIRST["groundingChunks"]


@pytest.mark.parametrize(
    "odd",
    [
        {"groundingSupports": "x", "groundingChunks": 5},
        {"groundingSupports": [None, {}, {"segment": "x", "groundingChunkIndices": ["y"]}]},
    ],
)
def test_what_cannot_be_read_is_survived(odd):
    assert joined(FIRST, odd, 1)["groundingChunks"] == FIRST["groundingChunks"]
