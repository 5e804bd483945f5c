"""Who a caller is and what it may use: API keys, and the models granted to users and groups."""
