"""Gemini's own API: generateContent, streamGenerateContent, countTokens, embedContent, models."""
