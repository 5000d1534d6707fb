"""Reports of the ledger, asked of the usage service."""
