"""How fast the house is, measured beside baselines in one run on one machine, and whether it stayed right while fast."""
