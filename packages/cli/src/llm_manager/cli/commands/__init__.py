"""One module a command. Those that run in children (`serve`) import no terminal library."""
