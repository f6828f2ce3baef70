"""Mathematics of judgments of mixed images: curves, fits, agreement with labels, statistics of images."""
