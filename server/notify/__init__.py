"""What the house tells people: letters, text messages, notices of the inbox, each in the reader's language.

Jobs say that somebody is to be told. `announce` spreads an event over the ways on which people want to hear of it, and
what leaves the house is put together at the last moment, from what is true then.
"""
