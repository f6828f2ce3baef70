from . import aggregation as aggregation
from . import calibration as calibration
from .annotator_quality import (
    estimate_confusion as estimate_confusion,
)
from .calibration import (
    adaptive_calibration_error as adaptive_calibration_error,
)
from .calibration import (
    bin_sums as bin_sums,
)
from .calibration import (
    brier_score as brier_score,
)
from .calibration import (
    calibration_error as calibration_error,
)
from .calibration import (
    classwise_calibration_error as classwise_calibration_error,
)
from .calibration import (
    fit_temperature as fit_temperature,
)
from .calibration import (
    negative_log_likelihood as negative_log_likelihood,
)
from .calibration import (
    rms_calibration_error as rms_calibration_error,
)
from .calibration import (
    top_label as top_label,
)
from .expectation import (
    expected_counts as expected_counts,
)
from .expectation import (
    shrunk_confusion as shrunk_confusion,
)
from .explanation.saliency import (
    input_gradient as input_gradient,
)
from .inputs import (
    as_float as as_float,
)
from .label_errors import (
    label_scores as label_scores,
)
from .label_errors import (
    rank_suspects as rank_suspects,
)
from .losses import (
    annotation_nll as annotation_nll,
)
from .losses import (
    label_log_likelihood as label_log_likelihood,
)
from .losses import (
    mixed_cross_entropy as mixed_cross_entropy,
)
from .mixing import (
    draw_partners as draw_partners,
)
from .mixing import (
    draw_weights as draw_weights,
)
from .mixing import (
    mix_rows as mix_rows,
)
