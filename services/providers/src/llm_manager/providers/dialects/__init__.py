"""Translators of wire formats. Pure: bytes in, values out, no IO, no state shared between requests."""
