"""Power limits and locked clocks of cards: what is asked for, what it costs, how a budget is split. Pure."""
