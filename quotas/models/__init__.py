"""What a call costs and who can pay. One credit is 1,000,000 micros; every amount is whole micros."""

from quotas.models.codes import Campaign, Code, Lot, Redemption
from quotas.models.ledger import Balance, Entry, Hold, Holder
from quotas.models.limits import Gate, Limits, Passage
from quotas.models.prices import Multiplier, Price

__all__ = [
    "Balance",
    "Campaign",
    "Code",
    "Entry",
    "Gate",
    "Hold",
    "Holder",
    "Limits",
    "Lot",
    "Multiplier",
    "Passage",
    "Price",
    "Redemption",
]
