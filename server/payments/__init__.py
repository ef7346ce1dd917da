"""Payment providers: each one in a file of its own, asked and never believed without proof."""
