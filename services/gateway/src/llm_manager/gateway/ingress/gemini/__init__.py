"""Gemini's API for clients: google-genai and whatever else speaks generateContent."""
