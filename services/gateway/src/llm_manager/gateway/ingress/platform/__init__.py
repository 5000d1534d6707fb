"""The platform's own short form: POST /api/v1/generate."""
