"""Traces, for operators who name a collector: an extra that is neither imported nor in the way where nobody does.

Everything traced is a plain part of the house with something around it: `tracing.py` has the parts that the composition
root takes instead of the plain ones. Spans carry ids, counts and codes; no tokens, addresses, query strings or words of
an exception, which may quote what somebody typed.
"""
