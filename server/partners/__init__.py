"""Partners: programs of others that hear of what happens here, each message signed and sent until it arrives."""
