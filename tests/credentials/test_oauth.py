import base64
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import pytest

from credentials import oauth
from credentials.oauth import TokenRefusal, TokenReply, Trouble


def refusal(status: int, **fields: str) -> TokenRefusal:
    answer = oauth.parse_token_answer(status, json.dumps(fields).encode())
    assert isinstance(answer, TokenRefusal)
    return answer


def test_the_consent_page_asks_for_a_refresh_token_and_proves_the_asker():
    verifier = "v" * 50
    url = oauth.authorization_url(
        auth_url="https://accounts.example/auth",
        client_id="client",
        redirect_uri="http://localhost:11451",
        state="one-time",
        code_verifier=verifier,
    )
    query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert url.startswith("https://accounts.example/auth?")
    assert verifier not in url
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    assert query["code_challenge"] == digest.rstrip(b"=").decode()
    assert query["code_challenge_method"] == "S256"
    assert query["response_type"] == "code"
    assert query["access_type"] == "offline"
    assert query["prompt"] == "consent"
    assert query["state"] == "one-time"
    assert query["redirect_uri"] == "http://localhost:11451"
    assert query["scope"].split() == list(oauth.SCOPES)


def test_the_challenge_of_the_standards_example():
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
    assert oauth.code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_an_exchange_sends_the_redirect_uri_and_the_verifier():
    request = oauth.exchange_request(
        base_url="https://oauth2.example/",
        code="4/code",
        redirect_uri="http://localhost:11451",
        code_verifier="verifier",
        client_id="client",
        client_secret="shh",
    )
    assert request.url == "https://oauth2.example/token"
    assert request.form == {
        "grant_type": "authorization_code",
        "code": "4/code",
        "redirect_uri": "http://localhost:11451",
        "code_verifier": "verifier",
        "client_id": "client",
        "client_secret": "shh",
    }
    assert "shh" not in repr(request)
    assert "4/code" not in repr(request)


def test_a_refresh_sends_the_four_fields():
    request = oauth.refresh_request(
        base_url="https://oauth2.example", refresh_token="1//r", client_id="c", client_secret="s"
    )
    assert request.form == {
        "grant_type": "refresh_token",
        "refresh_token": "1//r",
        "client_id": "c",
        "client_secret": "s",
    }


def test_a_reply_without_a_refresh_token_keeps_the_old_one():
    body = b'{"access_token":"ya29.a","expires_in":3599,"scope":"b a openid","token_type":"Bearer"}'
    reply = oauth.parse_token_answer(200, body)
    assert reply == TokenReply("ya29.a", 3599, "", ("b", "a", "openid"))
    assert "ya29" not in repr(reply)


@pytest.mark.parametrize(
    ("given", "seconds"), [("1800", 1800), (None, 3599), ("soon", 3599), (-5, 0)]
)
def test_the_lifetime_may_be_missing_or_a_string(given, seconds):
    body = json.dumps({"access_token": "ya29.a", "expires_in": given}).encode()
    assert oauth.parse_token_answer(200, body).expires_in_s == seconds


@pytest.mark.parametrize(
    ("status", "fields", "trouble", "reason"),
    [
        (400, {"error": "invalid_grant"}, Trouble.PERMANENT, "invalid_grant"),
        (
            400,
            {"error": "invalid_grant", "error_subtype": "invalid_rapt"},
            Trouble.PERMANENT,
            "invalid_rapt",
        ),
        (401, {"error": "unauthorized_client"}, Trouble.PERMANENT, "unauthorized_client"),
        (401, {"error": "invalid_client"}, Trouble.CONFIGURATION, "invalid_client"),
        (400, {"error": "redirect_uri_mismatch"}, Trouble.CONFIGURATION, "redirect_uri_mismatch"),
        (400, {"error": "invalid_request"}, Trouble.CONFIGURATION, "invalid_request"),
        (429, {"error": "invalid_grant"}, Trouble.TEMPORARY, "invalid_grant"),
        (503, {"error": "temporarily_unavailable"}, Trouble.TEMPORARY, "temporarily_unavailable"),
        (400, {"error": "internal_failure"}, Trouble.TEMPORARY, "internal_failure"),
    ],
)
def test_how_bad_a_refusal_is(status, fields, trouble, reason):
    assert refusal(status, **fields) == TokenRefusal(trouble, reason)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, b"<!DOCTYPE html><title>Error 503</title>"),
        (400, b"<html>Bad gateway in the way</html>"),
        (403, b'{"error":{"code":403,"status":"PERMISSION_DENIED"}}'),
        (400, b"[]"),
        (400, b""),
        (400, b'{"error":"1//a-refresh-token-echoed-by-somebody"}'),
        (200, b"<html>a captive portal</html>"),
        (200, b'{"access_token":""}'),
        (200, b"[" * 100_000),
        (400, b"\xff\xfe"),
    ],
)
def test_what_says_nothing_about_the_grant_is_temporary(status, body):
    answer = oauth.parse_token_answer(status, body)
    assert isinstance(answer, TokenRefusal)
    assert answer.trouble is Trouble.TEMPORARY
    assert "1//" not in answer.reason


@pytest.mark.parametrize(
    ("body", "email"),
    [
        (b'{"id":"1","email":"Alice@Example.org","verified_email":true}', "alice@example.org"),
        (b'{"email":"alice@example.org","verified_email":false}', ""),
        (b'{"id":"1"}', ""),
        (b"<html>", ""),
    ],
)
def test_only_a_verified_address_counts(body, email):
    assert oauth.parse_userinfo(body) == email
