"""The one place that reads the environment. Everything else imports `env` from here."""

from __future__ import annotations

from pathlib import Path

import environ

BASE_DIR = Path(__file__).resolve().parents[2]

env = environ.Env()

# An empty ENV_FILE means: none. The tests do so, to be the same on every machine.
_env_file = env.str("ENV_FILE", default=str(BASE_DIR / ".env"))
if _env_file and Path(_env_file).is_file():
    env.read_env(_env_file)

DATA_DIR = Path(env.str("DATA_DIR", default=str(BASE_DIR / "data"))).resolve()
# Database, keys and logs lie in it: nobody else's to look at.
DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
