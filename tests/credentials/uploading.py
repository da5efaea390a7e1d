"""Whoever may upload, and what they send."""

from __future__ import annotations

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User


def person(role: str) -> User:
    rights = role == "operator"
    return User.objects.create_user(
        username=role, password="pw", role=role, is_staff=rights, is_superuser=rights
    )


def client_of(role: str, **options) -> Client:
    client = Client(**options)
    client.force_login(person(role))
    return client


def file(name: str, content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)
