"""Decides: one in-memory actor per showtime owns that showtime's seat map.

`seatmap` holds every rule as pure functions, `runtime` runs actors and knows no seats, `showtime` joins the two,
and `ports` says what an actor needs from the world.
"""
