from apiproxy.dialects.replies import merge


def test_one_reply_is_itself():
    reply = {"candidates": [], "anything": 1}
    assert merge([reply]) is reply


def test_parts_are_strung_together_and_the_last_value_stays():
    first = {
        "candidates": [{"index": 1, "content": {"parts": [{"text": "b"}]}}],
        "usageMetadata": {"promptTokenCount": 1},
        "responseId": "r",
    }
    second = {
        "candidates": [
            {"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"},
            {"content": {"parts": [{"text": "c"}]}, "finishReason": "MAX_TOKENS"},
        ],
        "usageMetadata": {"promptTokenCount": 2},
    }
    third = {"candidates": [{"index": 0}]}
    assert merge([first, second, third]) == {
        "candidates": [
            {
                "index": 0,
                "content": {"role": "model", "parts": [{"text": "a"}]},
                "finishReason": "STOP",
            },
            {
                "index": 1,
                "content": {"role": "model", "parts": [{"text": "b"}, {"text": "c"}]},
                "finishReason": "MAX_TOKENS",
            },
        ],
        "usageMetadata": {"promptTokenCount": 2},
        "responseId": "r",
    }


def test_the_replies_themselves_are_left_as_they_are():
    replies = [{"candidates": [{"content": {"parts": [{"text": "a"}]}}]} for _ in range(2)]
    merge(replies)
    assert replies[0] == replies[1] == {"candidates": [{"content": {"parts": [{"text": "a"}]}}]}


def test_no_candidates_stay_none():
    assert merge([]) == {}
    assert merge([{"promptFeedback": {}}, {"usageMetadata": {}}]) == {
        "promptFeedback": {},
        "usageMetadata": {},
    }
