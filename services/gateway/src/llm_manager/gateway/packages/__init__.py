"""Packages: providers, apps, models, aliases and overrides that are taken in and given out together."""
