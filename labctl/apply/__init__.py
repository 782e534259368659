"""What an apply changes on a host and why, and what keeps it from beginning. Values in, values out."""
