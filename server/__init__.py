"""Talks: HTTP, live sockets, and the command line. The only part that knows what a browser is."""
