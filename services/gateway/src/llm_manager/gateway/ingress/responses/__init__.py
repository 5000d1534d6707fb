"""OpenAI's Responses API in front of every provider."""
