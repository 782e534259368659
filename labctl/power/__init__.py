"""Power limits of cards: which are asked for, what they cost, how a budget is split. Pure."""
