"""Design of a study: images, pairs, weights, batches, texts, and the manifest that holds them."""

from hilmix.human.elicit.design.manifest import Manifest, read_manifest

__all__ = ["Manifest", "read_manifest"]
