"""HTTP below the dialects: what is done for every request whatever it asks."""
