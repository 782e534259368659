"""The plan: what was placed, with every setting that starting it needs, as one value that can be kept and compared."""
