"""Dialects of clients, one folder each."""
