"""Reads of the ledger: terms, receipts, prices, the proof, and the processes that hold reservations."""

from quotas.selectors.entries import Line, lines_of
from quotas.selectors.limits import terms
from quotas.selectors.lots import Expiring, expiring
from quotas.selectors.prices import price_book, price_list
from quotas.selectors.processes import Process, processes
from quotas.selectors.proof import Discrepancy, prove
from quotas.selectors.receipts import Receipt, receipt

__all__ = [
    "Discrepancy",
    "Expiring",
    "Line",
    "Process",
    "Receipt",
    "price_book",
    "expiring",
    "lines_of",
    "price_list",
    "processes",
    "prove",
    "receipt",
    "terms",
]
