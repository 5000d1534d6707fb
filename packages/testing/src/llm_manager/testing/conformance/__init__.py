"""What every worker on the bus must do, whoever wrote it and in whatever language: run it against yours.

`llm-manager-conformance --kind <kind> --nats-url nats://…` asks a running worker and prints a line for each check.
"""
