"""Who is asking: passwords, tokens, and the identity that every handler trusts."""
