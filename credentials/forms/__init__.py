"""What people fill in, by the pages of credentials/views."""
