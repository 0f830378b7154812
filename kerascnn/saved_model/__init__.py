"""SavedModels: writing versions, folding, verification by other programs, finding and calling them."""
