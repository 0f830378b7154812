"""Naming what is on an image: training, losses, metrics, evaluation and export of classifiers."""
