"""Maintenance: pruning, expiry, newer prices and comparison of totals, in one process of all."""
