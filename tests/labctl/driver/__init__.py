"""What decides which driver a host gets."""
