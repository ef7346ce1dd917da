"""The worker of stored jobs."""
