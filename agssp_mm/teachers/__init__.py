"""Turning images into anomaly maps."""
