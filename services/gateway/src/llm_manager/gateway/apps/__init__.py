"""Client applications: each has keys of its own, and is told apart in the ledger."""
