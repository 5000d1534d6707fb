"""Cohere's own API, version 2: chat, embed, rerank; and its list of models."""
