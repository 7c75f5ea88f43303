"""Data sets and transforms that pretraining needs."""
