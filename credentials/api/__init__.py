"""The management API of lent credentials."""
