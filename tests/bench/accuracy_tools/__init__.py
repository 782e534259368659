"""What the accuracy benchmark runs in the other estimators' own environment, and what that is made of."""
