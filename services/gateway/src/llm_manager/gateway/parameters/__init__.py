"""Parameters that calls get: how they are merged, and where a dialect keeps them."""
