from apiproxy.dialects.history import History, arguments_object, response_object


def history(**options):
    return History(**{"media_in_results": False, "ends_with_user": False, **options})


def call(name, call_id=""):
    return {"functionCall": {"name": name, "args": {}, **({"id": call_id} if call_id else {})}}


def text(words):
    return {"text": words}


def answer(made, call_id, name="f", media=(), **response):
    made.add_result(call_id=call_id, name=name, response=response, media=list(media))


def shape(made):
    """Contents in short: role and what each part is."""
    return [
        (content["role"], [describe(part) for part in content["parts"]])
        for content in made.contents()
    ]


def describe(part):
    if "functionCall" in part:
        return f"call {part['functionCall'].get('id', part['functionCall']['name'])}"
    if "functionResponse" in part:
        response = part["functionResponse"]
        return f"answer {response.get('id', response['name'])} {sorted(response['response'])}"
    return part.get("text", "media")


def test_answers_stand_after_their_calls_in_the_order_of_the_calls():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a"), call("f", "b")])
    made.add_user([text("wait")])
    answer(made, "b", y=1)
    answer(made, "a", x=1)
    assert shape(made) == [
        ("user", ["hi"]),
        ("model", ["call a", "call b"]),
        ("user", ["answer a ['x']", "answer b ['y']", "wait"]),
    ]


def test_calls_of_neighbouring_turns_are_one_turn():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a")])
    made.add_model([call("f", "b")])
    answer(made, "a", x=1)
    answer(made, "b", y=1)
    assert shape(made)[1:] == [
        ("model", ["call a", "call b"]),
        ("user", ["answer a ['x']", "answer b ['y']"]),
    ]


def test_an_id_used_again_belongs_to_the_later_turn():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a")])
    made.add_user([text("go on")])
    made.add_model([call("f", "a")])
    answer(made, "a", x=1)
    assert shape(made)[1:] == [
        ("model", ["call a"]),
        ("user", ["answer a ['error']", "go on"]),
        ("model", ["call a"]),
        ("user", ["answer a ['x']"]),
    ]


def test_one_id_twice_in_a_turn_is_answered_in_order():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a"), call("f", "a")])
    answer(made, "a", x=1)
    answer(made, "a", y=1)
    assert shape(made)[2] == ("user", ["answer a ['x']", "answer a ['y']"])


def test_calls_without_id_are_found_by_name():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f"), call("g")])
    answer(made, "", "g", y=1)
    answer(made, "", "f", x=1)
    assert shape(made)[2] == ("user", ["answer f ['x']", "answer g ['y']"])


def test_an_answer_takes_the_name_of_its_call():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a")])
    answer(made, "a", "other", x=1)
    assert made.contents()[2]["parts"][0]["functionResponse"]["name"] == "f"


def test_a_second_answer_to_one_call_is_an_orphan():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a")])
    answer(made, "a", x=1)
    answer(made, "a", y=2)
    assert shape(made)[2] == ("user", ["answer a ['x']", '[Result of f] {"y":2}'])


def test_a_trailing_call_that_nobody_answered_goes():
    made = history()
    made.add_user([text("hi")])
    made.add_model([text("calling"), call("f", "a")])
    assert shape(made) == [("user", ["hi"])]


def test_nothing_left_is_still_a_conversation():
    made = history()
    made.add_model([call("f", "a")])
    assert [role for role, _ in shape(made)] == ["user"]


def test_a_partly_answered_trailing_turn_stays():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a"), call("f", "b")])
    answer(made, "b", y=1)
    assert shape(made)[2] == ("user", ["answer a ['error']", "answer b ['y']"])


def test_a_trailing_model_turn_is_followed_where_the_model_wants_it():
    for wanted, roles in ((False, ["user", "model"]), (True, ["user", "model", "user"])):
        made = history(ends_with_user=wanted)
        made.add_user([text("hi")])
        made.add_model([text("well")])
        assert [role for role, _ in shape(made)] == roles


def test_signed_parts_are_neither_joined_nor_dropped():
    signed = [{"text": "a", "thoughtSignature": "s"}, {"text": "b", "thoughtSignature": "t"}]
    made = history()
    made.add_user([text("hi")])
    made.add_model(signed[:1])
    made.add_model(signed[1:])
    assert made.contents()[1]["parts"] == signed


def test_pictures_of_results_go_where_the_model_takes_them():
    picture = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    for inside in (True, False):
        made = history(media_in_results=inside)
        made.add_user([text("hi")])
        made.add_model([call("f", "a"), call("f", "b")])
        answer(made, "a", media=[picture], x=1)
        answer(made, "b", y=1)
        first, *rest = made.contents()[2]["parts"]
        assert first["functionResponse"].get("parts") == ([picture] if inside else None)
        assert (picture in rest) is not inside


def test_results_become_objects():
    assert response_object('{"a": 1}') == {"a": 1}
    assert response_object(" [1]") == {"result": [1]}
    assert response_object("{broken") == {"result": "{broken"}
    assert response_object("42") == {"result": "42"}
    assert response_object("") == {"result": ""}


def test_arguments_become_objects():
    assert arguments_object("") == arguments_object(" \n") == {}
    assert arguments_object('{"a": 1}') == {"a": 1}
    assert arguments_object("[1]") == {"input": [1]}
    assert arguments_object("{broken") == {"input": "{broken"}


def test_what_was_mended_is_told():
    made = history(ends_with_user=True)
    made.add_model([call("f", "a"), call("f", "b")])
    made.add_user([text("wait")])
    answer(made, "b")
    answer(made, "b")
    made.add_model([text("so")])
    made.contents()
    assert made.notes == [
        "the result for the call 'b' was put where its call expects it",
        "the result for the call 'b' answers no open call: sent as text",
        "the call 'a' has no result: it is told so",
        "the conversation does not begin with the user: a short user turn was added",
        "this model continues no turn of its own: a short user turn was added",
    ]


def test_calls_nobody_answered_are_told_when_they_go():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a")])
    made.contents()
    assert made.notes == ["the last turn calls functions and has no results: left out"]


def test_a_history_in_order_needs_no_words():
    made = history()
    made.add_user([text("hi")])
    made.add_model([call("f", "a"), call("f", "b")])
    answer(made, "a")
    answer(made, "b")
    made.add_user([text("and?")])
    made.contents()
    assert made.notes == []


def test_words_about_a_broken_history_stay_few():
    made = history()
    for number in range(100):
        answer(made, f"gone {number}" + "x" * 100)
    made.contents()
    assert len(made.notes) == 20
    assert all(len(note) < 160 for note in made.notes)


def test_many_parallel_results_are_placed_in_linear_time():
    """Each compared with all before it would be twenty thousand million comparisons."""
    made = history()
    made.add_user([text("hi")])
    ids = [f"c{number}" for number in range(200_000)]
    made.add_model([call("f", name) for name in ids])
    for name in ids:
        answer(made, name)
    *_, results = made.contents()
    assert [part["functionResponse"]["id"] for part in results["parts"]] == ids
    assert made.notes == []
