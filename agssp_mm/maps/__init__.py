"""Anomaly maps on disk, and the pseudo boxes cut from them."""
