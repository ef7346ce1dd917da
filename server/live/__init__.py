"""The live edge: WebSockets. Frames, the protocol without I/O, fan-out, and the one place where they touch a socket."""
