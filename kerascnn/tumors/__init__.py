"""Brain tumors in MRI: recipes, patients, scans, preprocessing, training, cross-validation, predictions, reports."""
