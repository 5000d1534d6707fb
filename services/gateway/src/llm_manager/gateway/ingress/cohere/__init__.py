"""Cohere's second version for clients: /v2/chat, /v2/embed, /v2/rerank."""
