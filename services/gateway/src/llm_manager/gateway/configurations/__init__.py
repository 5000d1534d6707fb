"""Configurations: named models ready to use."""
