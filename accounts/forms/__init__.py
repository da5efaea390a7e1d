"""What people fill in, by the pages of accounts/views."""
