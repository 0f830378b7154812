"""Exported models behind TensorFlow Serving's REST API: repository, application, server, client and predictor."""
