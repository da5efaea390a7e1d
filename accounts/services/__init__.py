"""Writes: people, their keys, and the ways in."""

from accounts.services.batches import claim_key, issue_batch, renew_claim
from accounts.services.groups import delete_group, save_group
from accounts.services.issuing import (
    allow_models,
    edit_key,
    give_credits,
    issue_key,
    make_own_key,
    own_keys_left,
)
from accounts.services.people import (
    create_operator,
    create_user,
    edit_user,
    end_sessions,
    give_user_credits,
    save_user,
)
from accounts.services.rotation import end_overlap, renew_share, rotate_key
from accounts.services.setup import make_setup_token, use_setup_token
from accounts.services.switching import change_many, delete_key, revoke_key, set_key_active
from accounts.services.templates import delete_template, save_template, terms_of_template
from accounts.services.using import mark_keys_used

__all__ = [
    "allow_models",
    "change_many",
    "claim_key",
    "create_operator",
    "create_user",
    "delete_group",
    "edit_user",
    "end_sessions",
    "give_user_credits",
    "save_group",
    "delete_key",
    "delete_template",
    "edit_key",
    "end_overlap",
    "give_credits",
    "issue_batch",
    "issue_key",
    "make_own_key",
    "make_setup_token",
    "mark_keys_used",
    "own_keys_left",
    "renew_claim",
    "renew_share",
    "revoke_key",
    "rotate_key",
    "save_template",
    "save_user",
    "set_key_active",
    "terms_of_template",
    "use_setup_token",
]
