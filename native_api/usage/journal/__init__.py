"""Usage records on disk until the database has them."""
