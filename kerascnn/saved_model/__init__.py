"""SavedModels: writing versions, folding, verification by other programs, signatures, finding and calling them."""
