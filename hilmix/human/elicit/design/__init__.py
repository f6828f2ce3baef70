"""What a study shows: images, pairs, weights, batches, texts, and the manifest that holds them."""
