"""Pictures of images, anomaly maps and boxes."""
