"""The bus: streamed requests over core NATS, durable events and watched settings over JetStream."""
