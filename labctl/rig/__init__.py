"""Hardware: what a card is, and what a machine holds. Pure values; nothing here reads the machine."""
