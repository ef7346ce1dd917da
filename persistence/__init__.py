"""Remembers: the event log and everything derived from it, the catalogue, the accounts. All SQL lives here."""
