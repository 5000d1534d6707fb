"""The processes of one machine: nats-server and the services, under one supervisor.

Everything here runs in the supervisor for as long as the product runs, so it imports only the standard library
(20 MB resident; typer, rich and httpx2 would add 30 MB, measured 2026-11).
"""
