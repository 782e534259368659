"""What goes where: which cards a model fits on, and what would make it fit."""
