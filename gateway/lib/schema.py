"""How the OpenAPI document describes what all resources share: a tag for each, and errors."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema

_ERROR = {
    "description": "What is wrong, in words: `detail` and `code`, or words by field.",
    "type": ["object", "array"],
    "properties": {
        "detail": {"description": "For people."},
        "code": {"description": "For programs; it stays the same."},
    },
    "additionalProperties": True,
}
_EXAMPLES = {
    "4XX": {"detail": "There is no key of this id.", "code": "not_found"},
    "5XX": {"detail": "The database does not answer: try again.", "code": "unavailable"},
}


class Described(AutoSchema):
    """The tag is the resource, which is the scope a token needs as well."""

    def get_tags(self) -> list[str]:
        return [getattr(self.view, "scope", "")] if getattr(self.view, "scope", "") else ["other"]


def with_errors(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Every operation may be refused, and says so by the same shape."""
    result["components"].setdefault("schemas", {})["Error"] = _error_schema(result["openapi"])
    for operations in result["paths"].values():
        for operation in operations.values():
            for status, example in _EXAMPLES.items():
                operation["responses"].setdefault(status, _refusal(example))
    return result


def _error_schema(version: str) -> dict[str, Any]:
    """3.0 knows no list of types, and without a type a schema takes all of them."""
    return _ERROR if version.startswith("3.1") else {**_ERROR, "type": "object"}


def _refusal(example: dict[str, str]) -> dict[str, Any]:
    return {
        "description": "Refused, in words." if example["code"] != "unavailable" else "Try again.",
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Error"},
                "example": example,
            }
        },
    }
