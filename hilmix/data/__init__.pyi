from .datamodule import AnnotatedDataModule as AnnotatedDataModule
from .folder import read_folder as read_folder, write_folder as write_folder
from .from_exports import (
    from_class_folders as from_class_folders,
    from_export as from_export,
    from_frame as from_frame,
)
from .frozen_features import FeatureCache as FeatureCache, compute_frozen_features as compute_frozen_features
from .in_memory import (
    from_arrays as from_arrays,
    from_dataset as from_dataset,
    from_hugging_face as from_hugging_face,
)
from .inputs import ArrayInputs as ArrayInputs, ImageFiles as ImageFiles, InputKind as InputKind, Inputs as Inputs
from .items import AnnotatedData as AnnotatedData
from .masks import Masks as Masks
from .splits import draw_stratified_split as draw_stratified_split
from .targets import Aggregated as Aggregated, Pairs as Pairs, Targets as Targets, TrueLabels as TrueLabels
from .validation import check_validation as check_validation
