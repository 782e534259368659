"""What a model is, read from its own header: bytes in, a value out. Pure; fetching the bytes is an edge's work."""
