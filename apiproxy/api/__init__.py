"""The management API of the request log and the sums of it."""
