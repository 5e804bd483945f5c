"""Usage records: from the end of a call to the database, their daily totals, and pruning."""
