"""Masks of slices: losses, metrics, weight maps, inference, postprocessing, evaluation and export."""
