"""OpenAI's chat completions, embeddings and model list, and everything that claims to be compatible with them."""
