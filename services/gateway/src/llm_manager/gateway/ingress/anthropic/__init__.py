"""Anthropic's Messages API for clients: Claude Code, the anthropic SDKs (known-failures T-13)."""
