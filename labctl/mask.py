"""What stands in the place of a secret, wherever one would be shown."""

MASK = "*MASKED*"
