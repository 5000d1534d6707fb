"""OpenAI's Responses: models that answer only there, and clients that speak it."""
