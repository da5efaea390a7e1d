"""A single sign-on server (OpenID Connect) and the part of GitHub that signs people in, on a port of this machine. They are strict: what a
real one refuses they refuse, and they remember why."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import jwt

CLIENT_ID, CLIENT_SECRET = "wellspring", "words-shared-with-the-provider"
CALLBACKS = {
    "/oidc/authorize": "http://testserver/account/oidc/oidc/login/callback/",
    "/login/oauth/authorize": "http://testserver/account/github/login/callback/",
}
_SIGNING = "the signature is not looked at: the token came straight from the server"


class Refused(Exception):
    def __init__(self, status, error):
        super().__init__(error)
        self.status, self.error = status, error


class Provider:
    def __init__(self):
        self.oidc = {"sub": "7", "preferred_username": "dora", "email": "dora@example.org"}
        self.github = {"id": 7, "login": "dora", "email": "dora@example.org", "name": "Dora"}
        self.auth_methods = ["client_secret_post"]
        self.answers = {}  # path -> (status, body) instead of the right one
        self.claims = {}  # that the id_token has otherwise
        self.denies = False
        self.refused, self.asked = [], []
        self._codes, self._tokens = {}, {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self):
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()

    def _handler(self):
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self):
                url = urlsplit(self.path)
                size = int(self.headers.get("Content-Length") or 0)
                status, head, body = provider.answer(
                    self.command, url, self.headers, self.rfile.read(size).decode()
                )
                self.send_response(status)
                for name, value in head.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_):
                pass

        return Handler

    def answer(self, method, url, head, body):
        self.asked.append(url.path)
        if url.path in self.answers:
            status, told = self.answers[url.path]
            return status, {"Content-Type": "application/json"}, told
        try:
            match method, url.path:
                case "GET", "/.well-known/openid-configuration":
                    return _json(self._discovery())
                case "GET", "/oidc/authorize" | "/login/oauth/authorize":
                    return self._authorize(url)
                case "POST", "/oidc/token":
                    return _json(self._oidc_token(head, body))
                case "POST", "/login/oauth/access_token":
                    return self._github_token(head, body)
                case "GET", "/oidc/userinfo":
                    self._bearer(head, "Bearer")
                    return _json(self.oidc)
                case "GET", "/user":
                    self._bearer(head, "token")
                    if not head.get("User-Agent"):
                        raise Refused(403, "no User-Agent")
                    return _json(self.github)
            raise Refused(404, f"nothing at {method} {url.path}")
        except Refused as exc:
            self.refused.append(exc.error)
            return _json({"error": exc.error}, exc.status)

    def _discovery(self):
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/oidc/authorize",
            "token_endpoint": f"{self.url}/oidc/token",
            "userinfo_endpoint": f"{self.url}/oidc/userinfo",
            "jwks_uri": f"{self.url}/oidc/keys",
            "token_endpoint_auth_methods_supported": self.auth_methods,
        }

    def _authorize(self, url):
        asked = dict(parse_qsl(url.query, strict_parsing=True, keep_blank_values=True))
        if any(len(values) > 1 for values in parse_qs(url.query).values()):
            raise Refused(400, "a parameter came twice")
        if asked.get("client_id") != CLIENT_ID:
            raise Refused(400, "another client")
        if asked.get("redirect_uri") != CALLBACKS[url.path]:
            raise Refused(400, f"not registered: {asked.get('redirect_uri')}")
        if asked.get("response_type") != "code":
            raise Refused(400, "unsupported_response_type")
        if len(asked.get("state", "")) < 16:
            raise Refused(400, "no state worth the name")
        if asked.get("code_challenge_method") != "S256" or len(asked["code_challenge"]) != 43:
            raise Refused(400, "no PKCE")
        scopes = set(asked.get("scope", "").split())
        if url.path == "/oidc/authorize" and scopes != {"openid", "profile", "email"}:
            raise Refused(400, "invalid_scope")
        if self.denies:
            back = {"error": "access_denied", "state": asked["state"]}
        else:
            code = secrets.token_urlsafe(12)
            self._codes[code] = asked
            back = {"code": code, "state": asked["state"]}
        return 302, {"Location": f"{asked['redirect_uri']}?{urlencode(back)}"}, b""

    def _exchange(self, head, body, methods):
        asked = dict(parse_qsl(body, strict_parsing=True))
        if head["Content-Type"] != "application/x-www-form-urlencoded":
            raise Refused(400, "no form")
        if head.get("Authorization", "").startswith("Basic "):
            method = "client_secret_basic"
            pair = base64.b64decode(head["Authorization"][6:]).decode().split(":")
            given = tuple(unquote(part) for part in pair)
            if "client_secret" in asked:
                raise Refused(400, "two ways of authentication at once")
        else:
            method = "client_secret_post"
            given = (asked.get("client_id"), asked.get("client_secret"))
        if method not in methods or given != (CLIENT_ID, CLIENT_SECRET):
            raise Refused(401, "invalid_client")
        if asked.get("grant_type") != "authorization_code":
            raise Refused(400, "unsupported_grant_type")
        begun = self._codes.pop(asked.get("code"), None)
        if begun is None or begun["redirect_uri"] != asked.get("redirect_uri"):
            raise Refused(400, "invalid_grant")
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != begun["code_challenge"]:
            raise Refused(400, "invalid_grant: PKCE")
        token = secrets.token_urlsafe(12)
        self._tokens[token] = begun
        return token, begun

    def _oidc_token(self, head, body):
        token, begun = self._exchange(head, body, self.auth_methods)
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT_ID, "iat": now, "exp": now + 300} | self.oidc
        if "nonce" in begun:
            claims["nonce"] = begun["nonce"]
        return {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": jwt.encode(claims | self.claims, _SIGNING, algorithm="HS256"),
        }

    def _github_token(self, head, body):
        """GitHub tells refusals with status 200, and in a form unless asked for JSON."""
        try:
            token, _ = self._exchange(head, body, ["client_secret_post"])
            told = {"access_token": token, "scope": "", "token_type": "bearer"}
        except Refused as exc:
            self.refused.append(exc.error)
            told = {"error": "bad_verification_code", "error_description": exc.error}
        kind = "application/x-www-form-urlencoded; charset=utf-8"
        return 200, {"Content-Type": kind}, urlencode(told).encode()

    def _bearer(self, head, scheme):
        kind, _, token = head.get("Authorization", "").partition(" ")
        if kind != scheme or token not in self._tokens:
            raise Refused(401, "invalid_token")


def _json(told, status=200):
    return status, {"Content-Type": "application/json"}, json.dumps(told).encode()
