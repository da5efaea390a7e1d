"""Thought signatures: issued by the fake, recognised when they come back."""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from tests.fakes.google_parse import decode_base64

# Documented by Google for histories that have no signatures.
STAND_INS = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")

# The stand-ins happen to be URL-safe base64. An SDK that takes the field for bytes encodes the text
# once more; Google reads that form too.
_STAND_IN_BYTES = {decode_base64(text) for text in STAND_INS} | {
    text.encode() for text in STAND_INS
}


@dataclass(frozen=True)
class Issued:
    """On which part of which model's answer a signature was sent."""

    signature: str
    model: str
    family: str
    part: dict[str, Any]


class SignatureBook:
    def __init__(self) -> None:
        self.issued: dict[bytes, Issued] = {}
        self.takes_stand_ins = True

    def issue(self, model: str, family: str, part: dict[str, Any]) -> str:
        seed = f"{family}/{model}/{len(self.issued)}".encode()
        # Long enough to hold "+" and "/" now and then, as real ones do.
        raw = b"\x12\xfb\xef\xbe" + hashlib.sha256(seed).digest() + hashlib.sha512(seed).digest()
        signature = base64.b64encode(raw).decode()
        self.issued[raw] = Issued(signature, model, family, dict(part))
        return signature

    def accepts(self, signature: str, family: str) -> bool:
        raw = decode_base64(signature)
        if raw is None:
            return False
        if raw in _STAND_IN_BYTES:
            return self.takes_stand_ins
        issued = self.issued.get(raw)
        return issued is not None and issued.family == family
