"""What contributors earn, and how often a stranger may try codes."""

from __future__ import annotations

from gateway.settings.env import env

# Credits for each call that a lent credential served; 0: none.
REWARD_CREDITS = env.str("REWARD_CREDITS", default="0")
# Wrong codes from one address in an hour.
WRONG_CODES_PER_HOUR = env.int("WRONG_CODES_PER_HOUR", default=20)
