"""What every room may use: errors, the clock, canonical JSON. Imports nothing of ours."""
