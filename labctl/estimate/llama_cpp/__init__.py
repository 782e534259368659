"""llama.cpp's rules: what it puts where, and how much it reserves before it reads a byte.

The engine builds the graph of its largest batch without allocating and sums up; so does this, from the same header.
Source throughout: https://github.com/ggml-org/llama.cpp (src/, ggml/src/), as packaged by Debian (0.7.0).
"""
