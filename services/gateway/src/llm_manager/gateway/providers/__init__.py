"""Providers: where each comes from, and forgetting one that was kept."""
