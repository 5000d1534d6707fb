"""Ollama's /api/generate: a prompt and its completion."""
