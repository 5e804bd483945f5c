"""Which target a call tries next, and what is known of the targets: attempts, retries, health."""
