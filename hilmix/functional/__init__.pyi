from . import (
    aggregation as aggregation,
    calibration as calibration,
    confident_learning as confident_learning,
    crowd as crowd,
    dynamics as dynamics,
    item_issues as item_issues,
    label_views as label_views,
    uncertainty as uncertainty,
)
from .annotator_quality import (
    estimate_confusion as estimate_confusion,
)
from .calibration import (
    adaptive_calibration_error as adaptive_calibration_error,
    bin_sums as bin_sums,
    brier_score as brier_score,
    calibration_error as calibration_error,
    classwise_calibration_error as classwise_calibration_error,
    negative_log_likelihood as negative_log_likelihood,
    rms_calibration_error as rms_calibration_error,
    top_label as top_label,
)
from .expectation import (
    expected_counts as expected_counts,
    shrunk_confusion as shrunk_confusion,
)
from .explanation.saliency import (
    input_gradient as input_gradient,
)
from .folds import (
    assign_folds as assign_folds,
    majority_strata as majority_strata,
    pool_predictions as pool_predictions,
    predicting_networks as predicting_networks,
)
from .inputs import (
    as_float as as_float,
)
from .label_errors import (
    label_quality_scores as label_quality_scores,
    normalized_margin as normalized_margin,
    rank_label_errors as rank_label_errors,
    self_confidence as self_confidence,
)
from .losses import (
    annotation_nll as annotation_nll,
    label_log_likelihood as label_log_likelihood,
    mixed_cross_entropy as mixed_cross_entropy,
)
from .mixing import (
    draw_partners as draw_partners,
    draw_weights as draw_weights,
    mix_rows as mix_rows,
)
from .temperature import (
    fit_temperature as fit_temperature,
)
