"""Client of LLM Manager: calls of models and the admin API, typed."""
