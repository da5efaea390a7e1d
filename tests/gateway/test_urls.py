from django.contrib.staticfiles import finders


def test_browsers_that_ask_for_an_icon_are_shown_it(client, settings):
    answer = client.get("/favicon.ico")
    assert answer.status_code == 302
    assert finders.find(answer["Location"].removeprefix(settings.STATIC_URL))


def test_passwords_are_changed_in_one_place(client):
    answer = client.get("/admin/password_change/")
    assert (answer.status_code, answer["Location"]) == (302, "/account/password/change")
