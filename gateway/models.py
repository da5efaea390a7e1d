from gateway.lib.models import Revision

__all__ = ["Revision"]
