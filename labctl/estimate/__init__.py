"""How much memory a workload needs, and how fast it is: one module per engine's rules. Pure functions of values."""
