"""The catalogue, the request log, and what is kept beside them."""

from apiproxy.models.catalogue import CatalogueModel, ModelAlias, default_capabilities
from apiproxy.models.requests import RequestLog, Usage, UsageDay, UsageHour, UsageMark
from apiproxy.models.stored import IdempotentCall, SelfTest, StoredImage, StoredResponse
from apiproxy.models.verdicts import PROVIDERS, UpstreamError, VerdictRule

__all__ = [
    "PROVIDERS",
    "CatalogueModel",
    "IdempotentCall",
    "ModelAlias",
    "RequestLog",
    "SelfTest",
    "StoredImage",
    "StoredResponse",
    "UpstreamError",
    "Usage",
    "UsageDay",
    "UsageHour",
    "UsageMark",
    "VerdictRule",
    "default_capabilities",
]
