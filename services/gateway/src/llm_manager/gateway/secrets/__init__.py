"""Secrets of the platform: what is kept sealed under the master key, and how it gets under another one."""
