"""OpenAI's legacy text completions: /completions, and Mistral's /fim/completions, which answers like a chat."""
