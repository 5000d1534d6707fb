"""The OpenAI-compatible edge: /v1/chat/completions, /v1/embeddings, /v1/models."""
