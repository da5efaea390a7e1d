import pytest

from gateway.lib.scopes import allow, resources, routes, view_class, within


@pytest.mark.parametrize(
    ("scopes", "resource", "method", "may"),
    [
        (["*"], "keys", "DELETE", True),
        (["*"], "", "GET", True),
        (["keys:read"], "keys", "GET", True),
        (["keys:read"], "keys", "OPTIONS", True),
        (["keys:read"], "keys", "POST", False),
        (["keys:write"], "keys", "PATCH", True),
        (["keys:write"], "keys", "GET", True),
        (["keys:write"], "jobs", "GET", False),
        (["keys:write"], "", "GET", False),
        ([], "keys", "GET", False),
    ],
)
def test_what_a_scope_allows(scopes, resource, method, may):
    assert allow(scopes, resource, method) is may


@pytest.mark.parametrize(
    ("scopes", "bounds", "fit"),
    [
        (["keys:read"], ["*"], True),
        (["*"], ["*"], True),
        (["keys:read"], ["keys:write"], True),
        (["keys:write"], ["keys:read"], False),
        (["*"], ["keys:write"], False),
        (["keys:read", "jobs:read"], ["keys:read"], False),
    ],
)
def test_nobody_hands_out_more_than_they_have(scopes, bounds, fit):
    assert within(scopes, bounds) is fit


def test_the_resources_are_those_of_the_url_conf():
    assert {"tokens", "announcements", "credentials", "jobs", "rules", "requests"} <= resources()


def test_every_resource_of_the_api_names_its_scope():
    """Without one, only a whole token reaches it: that is for views which say so here."""
    without = sorted(
        path
        for path, pattern in routes()
        if path.startswith("api/")
        and (view := view_class(pattern.callback)) is not None
        and not getattr(view, "scope", "")
    )
    assert without == ["api/docs/", "api/schema/"]
