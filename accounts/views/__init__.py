"""Pages of people and of their keys."""
