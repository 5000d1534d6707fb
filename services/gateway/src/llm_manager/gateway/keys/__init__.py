"""API keys: checking them on every request, making and revoking them."""
