"""Overrides: parameters that the calls of an app get."""
