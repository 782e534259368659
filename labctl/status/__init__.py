"""What runs on a host, held against the generation in force there. Values in, values out."""
