"""The upstream kinds. A new one is a module here and a line below (see `base.Provider`)."""

from apiproxy.providers import code_assist, gemini_api, sandbox
from apiproxy.providers.base import Provider

PROVIDERS: dict[str, Provider] = {
    "gemini_api": gemini_api,
    "code_assist": code_assist,
    "sandbox": sandbox,
}
