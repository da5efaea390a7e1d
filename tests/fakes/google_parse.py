"""Reads a JSON body as Google's proto parser does, against the tables of ``google_shapes``.

Both spellings of a field name are taken, enum values and number strings are understood, and every
fault is collected with the path Google prints (snake case, list indices). The result has camelCase
keys and lists where the table says so, so that later rules need not look twice.
"""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Any

from tests.fakes.google_status import Refused, invalid

Tables = dict[str, dict[str, str]]
Enums = dict[str, tuple[str, ...]]

_INTS = {"int32": 2**31, "int64": 2**63}
# Names a proto oneof; only one of its members may be present.
ONEOFS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Part": (
        "data",
        (
            "text",
            "inlineData",
            "fileData",
            "functionCall",
            "functionResponse",
            "executableCode",
            "codeExecutionResult",
            "toolCall",
            "toolResponse",
        ),
    ),
}


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[1].lower(), name)


def camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def decode_base64(text: str) -> bytes | None:
    """Proto JSON takes either alphabet, padded or not; None when it is neither."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


@dataclass
class Parser:
    """One body against one set of tables; ``package`` is what error texts call the messages."""

    tables: Tables
    enums: Enums
    package: str

    def __post_init__(self) -> None:
        self.faults: list[tuple[str, str]] = []

    def parse(self, message: str, body: Any) -> dict[str, Any]:
        """The body with camelCase keys; Refused with all faults at once."""
        if not isinstance(body, dict):
            raise invalid(
                'Invalid JSON payload received. Unknown name "": Root element must be a message.'
            )
        parsed: dict[str, Any] = self._message(message, body, "")
        if self.faults:
            raise self._refusal()
        return parsed

    def _refusal(self) -> Refused:
        return invalid("\n".join(text for _, text in self.faults), *self.faults)

    def _fault(self, path: str, text: str) -> None:
        self.faults.append((path, text))

    def _bad_value(self, path: str, kind: str, value: Any) -> None:
        self._fault(path, f"Invalid value at '{path}' ({kind}), {json.dumps(value)}")

    def _message(self, message: str, body: dict[str, Any], path: str) -> dict[str, Any]:
        fields = self.tables[message]
        parsed: dict[str, Any] = {}
        for name, value in body.items():
            known = name if name in fields else camel(name)
            if known not in fields or (name != known and name != snake(known)):
                where = f" at '{path}'" if path else ""
                text = f'Invalid JSON payload received. Unknown name "{name}"{where}'
                self._fault(path, f"{text}: Cannot find field.")
                continue
            if value is None:
                continue  # null is "not set" in proto JSON
            inner = f"{path}.{snake(known)}" if path else snake(known)
            self._check_oneof(message, known, parsed, path)
            parsed[known] = self._field(fields[known], value, inner)
        return parsed

    def _check_oneof(self, message: str, known: str, parsed: dict[str, Any], path: str) -> None:
        oneof, members = ONEOFS.get(message, ("", ()))
        if known in members and any(member in parsed for member in members):
            text = (
                f"Invalid value at '{path}' (oneof), oneof field '{oneof}' is already set. "
                f"Cannot set '{known}'"
            )
            self._fault(path, text)

    def _field(self, spec: str, value: Any, path: str) -> Any:
        if spec.endswith("{}"):
            return self._map(spec[:-2], value, path)
        if spec.endswith("*"):
            # A single message stands for a list of one; Google's own curl examples rely on it.
            single = not isinstance(value, list)
            items = [value] if single else value
            return [
                self._value(spec[:-1], item, path if single else f"{path}[{index}]")
                for index, item in enumerate(items)
            ]
        if isinstance(value, list) and spec != "value":
            text = (
                "Invalid JSON payload received. Unknown name "
                f"\"{path.rsplit('.', 1)[-1]}\" at '{path.rpartition('.')[0]}': "
                "Proto field is not repeating, cannot start list."
            )
            self._fault(path.rpartition(".")[0], text)
            return None
        return self._value(spec, value, path)

    def _map(self, spec: str, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            self._bad_value(path, f"type.googleapis.com/{self.package}.Map", value)
            return {}
        return {
            key: self._value(spec, item, f"{path}[{index}].value")
            for index, (key, item) in enumerate(value.items())
        }

    def _value(self, spec: str, value: Any, path: str) -> Any:
        if spec == "value":
            return value
        if spec.startswith("enum:"):
            return self._enum(spec[5:], value, path)
        if spec in self.tables:
            if isinstance(value, dict):
                return self._message(spec, value, path)
            self._bad_value(path, f"type.googleapis.com/{self.package}.{spec}", value)
            return {}
        return getattr(self, f"_{spec}")(value, path)

    def _enum(self, name: str, value: Any, path: str) -> Any:
        allowed = self.enums[name]
        # A trailing "~" in the table marks an enum Google reads in any case.
        relaxed = "~" in allowed
        found = value.upper() if relaxed and isinstance(value, str) else value
        if not isinstance(value, str) or found not in allowed:
            self._bad_value(path, f"type.googleapis.com/{self.package}.{name}", value)
        return found

    def _string(self, value: Any, path: str) -> Any:
        if not isinstance(value, str):
            self._bad_value(path, "TYPE_STRING", value)
            return ""
        if any("\ud800" <= char <= "\udfff" for char in value):
            self._fault(path, f"Invalid value at '{path}' (TYPE_STRING), not valid UTF-8")
        return value

    def _bool(self, value: Any, path: str) -> Any:
        if not isinstance(value, bool):
            self._bad_value(path, "TYPE_BOOL", value)
            return False
        return value

    def _number(self, kind: str, value: Any, path: str) -> float:
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError(value)
            return float(value)
        except ValueError:
            self._bad_value(path, kind, value)
            return 0.0

    def _float(self, value: Any, path: str) -> Any:
        return self._number("TYPE_FLOAT", value, path)

    def _int(self, kind: str, value: Any, path: str) -> int:
        number = self._number(f"TYPE_{kind.upper()}", value, path)
        limit = _INTS[kind]
        if number != int(number) or not -limit <= number < limit:
            self._bad_value(path, f"TYPE_{kind.upper()}", value)
            return 0
        return int(number)

    def _int32(self, value: Any, path: str) -> Any:
        return self._int("int32", value, path)

    def _int64(self, value: Any, path: str) -> Any:
        return self._int("int64", value, path)

    def _bytes(self, value: Any, path: str) -> Any:
        """Payload bytes: the standard alphabet, padded. (Google also takes the URL-safe one here;
        the fake does not, so that a gateway cannot lean on it.)"""
        try:
            base64.b64decode(value, validate=True)
        except (TypeError, ValueError):
            self._not_base64(value, path)
        return value

    def _signature(self, value: Any, path: str) -> Any:
        """Bytes too, but the documented stand-ins are URL-safe text, so both alphabets pass."""
        if not isinstance(value, str) or decode_base64(value) is None:
            self._not_base64(value, path)
        return value

    def _not_base64(self, value: Any, path: str) -> None:
        shown = json.dumps(value)[:80]
        text = f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for {shown}"
        self._fault(path, text)

    def _struct(self, value: Any, path: str) -> Any:
        if not isinstance(value, dict):
            self._bad_value(path, "type.googleapis.com/google.protobuf.Struct", value)
            return {}
        return value
