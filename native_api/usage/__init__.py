"""What was used: records on their way to the database, their daily totals, and pruning."""
