"""Runs actors: mailboxes, turns, activation, supervision, time. Knows messages and keys, not seats."""
