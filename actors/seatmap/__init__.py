"""The seat map: every rule of holding and selling seats, as pure functions over immutable values.

`decide` says what would happen, `evolve` makes it so. No clock, randomness, id minting, logging or I/O in here:
the live actor, replay, tests and what-if questions all use the same pair.
"""
