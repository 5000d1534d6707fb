"""Taking over what other gateways were configured with."""
