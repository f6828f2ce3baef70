"""The order of training items: a function of (seed, epoch), resumable inside an epoch, apart on every rank."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Dataset, DistributedSampler

from hilmix.functional.random import step_generator


class EpochSampler(DistributedSampler[int]):
    """Sampler that shuffles by (seed, epoch) and assigns the items to the ranks in turn.

    Every rank gets the same number of items (the first ones of the order are repeated to even them out), as DDP
    needs in training. An index carries its epoch, ``epoch * len(dataset) + item``: so augmentation draws can depend
    on the epoch in any worker process. Being a ``DistributedSampler``, Lightning leaves it alone and announces epochs
    to it.

    Args:
        dataset: N items.
        seed: seed of the run.
        num_replicas: number of ranks.
        rank: own rank.
    """

    def __init__(self, dataset: Dataset[object], *, seed: int, num_replicas: int = 1, rank: int = 0) -> None:
        super().__init__(dataset, num_replicas=num_replicas, rank=rank, shuffle=True, seed=seed)
        self._skip = (0, 0)

    def resume(self, *, epoch: int, items: int) -> None:
        """Start the given epoch after its first ``items`` of this rank; other epochs are whole."""
        self.set_epoch(epoch)
        self._skip = (epoch, items)

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)  # type: ignore[arg-type]
        order = step_generator(self.seed, self.epoch, stream="shuffle").permutation(size)
        # np.resize repeats the order as often as needed, also with fewer items than ranks.
        assigned = np.resize(order, self.total_size)[self.rank : self.total_size : self.num_replicas]
        epoch, items = self._skip
        start = items if epoch == self.epoch else 0
        # The epoch travels inside the position: the data set, copied into workers, has no other way to know it.
        return iter((assigned[start:] + self.epoch * size).tolist())
