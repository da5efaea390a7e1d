"""What goes by itself."""

from datetime import timedelta

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.utils import timezone

from gateway import tasks

pytestmark = pytest.mark.django_db


def visit(key, *, days, user=None):
    Session.objects.create(
        session_key=key, session_data="", expire_date=timezone.now() + timedelta(days=days)
    )
    if user:
        UserSession.objects.create(user=user, session_key=key, ip="127.0.0.1")


def test_visits_that_are_over_are_forgotten():
    bob = get_user_model().objects.create_user("bob")
    visit("stranger-over", days=-1)
    visit("stranger", days=1)
    visit("bob-over", days=-1, user=bob)
    visit("bob", days=1, user=bob)
    tasks.clear_sessions()
    assert set(Session.objects.values_list("session_key", flat=True)) == {"stranger", "bob"}
    assert list(UserSession.objects.values_list("session_key", flat=True)) == ["bob"]
