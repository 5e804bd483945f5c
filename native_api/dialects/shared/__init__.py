"""What several dialects share. Nothing here knows a single wire."""
