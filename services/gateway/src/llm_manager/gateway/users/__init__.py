"""The people of the admin API; for now the one user admin."""
