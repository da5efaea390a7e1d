"""Writes of the proxy's app: rules for upstream errors, the sums of the request log, and the end of old rows."""

from apiproxy.services.rules import save_rule

__all__ = ["save_rule"]
