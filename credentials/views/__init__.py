"""Pages of lending and of the pool, and the routes that older clients know."""
