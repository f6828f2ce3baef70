"""Numbers of others, average / worst-group accuracy in per cent. None could be checked against a paper here."""

NAMES = {
    "erm": "ERM",
    "group_dro": "Group DRO",
    "rrr": "RRR",
    "rrr_log": "RRR of log p",
    "cdep": "CDEP",
    "avg_ex": "Avg-Ex",
    "pgd_ex": "PGD-Ex",
    "ibp_ex": "IBP-Ex",
    "r4": "R4",
    "pgd_ex+rrr": "PGD-Ex + RRR",
    "pgd_ex+rrr_log": "PGD-Ex + RRR of log p",
    "ibp_ex+rrr": "IBP-Ex + RRR",
}
RECALLED: dict[str, tuple[float, float]] = {
    "erm": (15.1, 10.5),
    "group_dro": (64.1, 28.1),
    "rrr": (72.5, 46.2),
    "cdep": (14.5, 10.0),
    "avg_ex": (29.5, 19.5),
    "pgd_ex": (67.6, 51.4),
    "ibp_ex": (68.1, 47.6),
    "pgd_ex+rrr": (96.9, 95.8),
    "ibp_ex+rrr": (96.9, 95.0),
}
"""Decoy-MNIST in the main table of Heo et al., NeurIPS 2023, from memory: unverified."""
THIRD_PARTY: dict[str, dict[str, tuple[float, float]]] = {
    "decoy-mnist": {"erm": (23.0, 10.8), "r4": (68.0, 40.7)},
    "decoy-mnist-corner-10k": {
        "erm": (63.9, 22.4),
        "rrr": (92.3, 85.4),
        "ibp_ex": (89.7, 83.7),
        "ibp_ex+rrr": (93.1, 88.1),
        "r4": (97.0, 94.8),
    },
}
"""Re-runs in the repository Mihneaghitu/ModelGuidanceViaRobustFeatureAttribution, with its own networks and all images;
its corner decoys are its own, so compare within the column only."""
