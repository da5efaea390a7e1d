"""Sends what `credentials.oauth` says. httpx and its errors stop here."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import httpx
from django.conf import settings

from credentials import oauth
from credentials.oauth import TokenRefusal, TokenReply, TokenRequest
from gateway.lib.errors import ProxyFailed, UpstreamFailed, UpstreamTimeout, UpstreamUnreachable
from gateway.lib.proxied import transport_for

_TIMEOUT = httpx.Timeout(20.0, connect=10.0)
"""Per step."""


class GoogleClient:
    """Google's accounts services at the addresses of the settings. `transport` stands in for the network in tests.

    `proxy` is the URL of the credential's own; "" goes by way of the site's. Every method raises UpstreamUnreachable
    (ProxyFailed among them) or UpstreamTimeout when no answer comes.
    """

    def __init__(self, *, transport: httpx.BaseTransport | None = None) -> None:
        self._transport = transport

    def exchange_code(
        self,
        *,
        code: str,
        redirect_uri: str,
        code_verifier: str,
        client_id: str,
        client_secret: str,
        proxy: str = "",
    ) -> TokenReply | TokenRefusal:
        return self._ask_for_token(
            oauth.exchange_request(
                base_url=settings.OAUTH_PROXY_URL,
                code=code,
                redirect_uri=redirect_uri,
                code_verifier=code_verifier,
                client_id=client_id,
                client_secret=client_secret,
            ),
            proxy,
        )

    def refresh(
        self, *, refresh_token: str, client_id: str, client_secret: str, proxy: str = ""
    ) -> TokenReply | TokenRefusal:
        """Always asks our own setting, never a file's `token_uri`: that could point anywhere."""
        return self._ask_for_token(
            oauth.refresh_request(
                base_url=settings.OAUTH_PROXY_URL,
                refresh_token=refresh_token,
                client_id=client_id,
                client_secret=client_secret,
            ),
            proxy,
        )

    def revoke(self, *, token: str, proxy: str = "") -> bool:
        """Ends the grant at Google, for every program that uses the same login client; True when it is gone, also when
        it was before. False: refused. Raises UpstreamFailed when trying again later may help."""
        with self._session(proxy) as session:
            answer = session.post(oauth.revoke_url(settings.OAUTH_PROXY_URL), data={"token": token})
        gone = oauth.parse_revoke_answer(answer.status_code, answer.content)
        if gone is None:
            raise UpstreamFailed(f"Google's revocation answered {answer.status_code}: try later")
        return gone

    def fetch_email(self, *, access_token: str, proxy: str = "") -> str:
        """The account's verified address or "". Raises UpstreamFailed when the answer is an error."""
        with self._session(proxy) as session:
            answer = session.get(
                oauth.userinfo_url(settings.GOOGLEAPIS_PROXY_URL),
                headers={"Authorization": f"Bearer {access_token}"},
            )
        if answer.status_code != 200:
            raise UpstreamFailed(f"Google's userinfo answered {answer.status_code}")
        return oauth.parse_userinfo(answer.content)

    def _ask_for_token(self, request: TokenRequest, proxy: str) -> TokenReply | TokenRefusal:
        with self._session(proxy) as session:
            answer = session.post(request.url, data=request.form)
        return oauth.parse_token_answer(answer.status_code, answer.content)

    @contextmanager
    def _session(self, proxy: str) -> Iterator[httpx.Client]:
        own = "this credential" if proxy else "this site"
        with (
            _errors_mapped(own if proxy or settings.UPSTREAM_PROXY else ""),
            httpx.Client(
                transport=self._transport
                or transport_for(proxy or settings.UPSTREAM_PROXY, _tls()),
                timeout=_TIMEOUT,
                trust_env=False,
            ) as session,
        ):
            yield session


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Loading the certificates takes tens of milliseconds, so once a process."""
    return httpx.create_ssl_context(trust_env=False)


@contextmanager
def _errors_mapped(proxy_of: str) -> Iterator[None]:
    """`proxy_of`: whose proxy is in between, in words; "" for none."""
    try:
        yield
    except httpx.TimeoutException as exc:
        if proxy_of and isinstance(exc, httpx.ConnectTimeout):
            raise ProxyFailed(f"the proxy of {proxy_of} did not answer in time") from exc
        raise UpstreamTimeout("Google's accounts service did not answer in time") from exc
    except (httpx.ProxyError, httpx.ConnectError) as exc:
        if proxy_of:
            raise ProxyFailed(
                f"the proxy of {proxy_of} cannot be reached, or does not let us through"
            ) from exc
        raise UpstreamUnreachable("Google's accounts service cannot be reached") from exc
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise UpstreamUnreachable("Google's accounts service cannot be reached") from exc
