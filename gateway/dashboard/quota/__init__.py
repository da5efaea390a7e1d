"""/quota: what a key's holder sees of it, without an account."""
