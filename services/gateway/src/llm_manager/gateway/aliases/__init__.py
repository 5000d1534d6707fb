"""Aliases: further names of configurations."""
