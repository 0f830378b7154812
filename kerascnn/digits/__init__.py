"""Handwritten digits: recipes, data, preprocessing, and pages that are found, read and composed."""
