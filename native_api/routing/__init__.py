"""Attempts, retries, the choice of targets, and their health, concurrency and latency."""
