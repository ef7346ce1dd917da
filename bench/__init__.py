"""How fast the house is, beside baselines in one run on one machine, and whether it stayed right while it was fast."""
