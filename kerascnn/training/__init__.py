"""One training run: recipe, optimizer, fit, checkpoint, and what its folder holds."""
