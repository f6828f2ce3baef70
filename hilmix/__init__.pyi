from . import (
    annotators as annotators,
)
from . import (
    callbacks as callbacks,
)
from . import (
    data as data,
)
from . import (
    diagnostics as diagnostics,
)
from . import (
    explanations as explanations,
)
from . import (
    functional as functional,
)
from . import (
    human as human,
)
from . import (
    metrics as metrics,
)
from . import (
    mix as mix,
)
from . import (
    modules as modules,
)
from .annotations import (
    Annotations as Annotations,
)
from .annotators import (
    AnnotatorModel as AnnotatorModel,
)
from .annotators import (
    AnnotatorOutput as AnnotatorOutput,
)
from .annotators import (
    AnnotMixHead as AnnotMixHead,
)
from .annotators import (
    CoNAL as CoNAL,
)
from .annotators import (
    ConfusionMatrices as ConfusionMatrices,
)
from .annotators import (
    CrowdAR as CrowdAR,
)
from .annotators import (
    CrowdLayer as CrowdLayer,
)
from .annotators import (
    DawidSkene as DawidSkene,
)
from .annotators import (
    GeoRegW as GeoRegW,
)
from .annotators import (
    MaDL as MaDL,
)
from .annotators import (
    Perfect as Perfect,
)
from .annotators import (
    TraceReg as TraceReg,
)
from .annotators import (
    UnionNet as UnionNet,
)
from .backbones import (
    MLP as MLP,
)
from .backbones import (
    Backbone as Backbone,
)
from .backbones import (
    ReadyFeatures as ReadyFeatures,
)
from .backbones import (
    TimmBackbone as TimmBackbone,
)
from .callbacks import (
    AnnotatorReport as AnnotatorReport,
)
from .callbacks import (
    CalibrationReport as CalibrationReport,
)
from .callbacks import (
    FiniteLoss as FiniteLoss,
)
from .callbacks import (
    LabelErrors as LabelErrors,
)
from .callbacks import (
    LastCheckpoint as LastCheckpoint,
)
from .callbacks import (
    MaskSensitivity as MaskSensitivity,
)
from .callbacks import (
    MetricsFile as MetricsFile,
)
from .callbacks import (
    PredictionFile as PredictionFile,
)
from .data import (
    Aggregated as Aggregated,
)
from .data import (
    AnnotatedData as AnnotatedData,
)
from .data import (
    AnnotatedDataModule as AnnotatedDataModule,
)
from .data import (
    ArrayInputs as ArrayInputs,
)
from .data import (
    ImageFiles as ImageFiles,
)
from .data import (
    Pairs as Pairs,
)
from .data import (
    Targets as Targets,
)
from .data import (
    TrueLabels as TrueLabels,
)
from .data import (
    read_folder as read_folder,
)
from .data import (
    write_folder as write_folder,
)
from .data.sources import (
    load_source as load_source,
)
from .errors import (
    ConfigError as ConfigError,
)
from .errors import (
    DataError as DataError,
)
from .errors import (
    HilmixError as HilmixError,
)
from .errors import (
    RunError as RunError,
)
from .explanations import (
    CDEP as CDEP,
)
from .explanations import (
    R4 as R4,
)
from .explanations import (
    RRR as RRR,
)
from .explanations import (
    AvgEx as AvgEx,
)
from .explanations import (
    Explanation as Explanation,
)
from .explanations import (
    IBPEx as IBPEx,
)
from .explanations import (
    PGDEx as PGDEx,
)
from .functional import (
    calibration as calibration,
)
from .functional.aggregation import (
    aggregate as aggregate,
)
from .group_dro import (
    GroupDRO as GroupDRO,
)
from .human import (
    perception as perception,
)
from .human.human_mix import (
    HumanMix as HumanMix,
)
from .lightning_cli.config_files import (
    configs_folder as configs_folder,
)
from .mix import (
    AnnotMix as AnnotMix,
)
from .mix import (
    CutMix as CutMix,
)
from .mix import (
    HiddenMix as HiddenMix,
)
from .mix import (
    ItemMix as ItemMix,
)
from .mix import (
    MixPolicy as MixPolicy,
)
from .mix import (
    NoMix as NoMix,
)
from .modules import (
    Classifier as Classifier,
)
from .modules import (
    CrowdModel as CrowdModel,
)
from .modules import (
    EMClassifier as EMClassifier,
)
from .regularizers import (
    EntropyPenalty as EntropyPenalty,
)
from .regularizers import (
    PriorPenalty as PriorPenalty,
)
from .regularizers import (
    Regularizer as Regularizer,
)
from .regularizers import (
    VolumePenalty as VolumePenalty,
)
from .trusted import (
    trust as trust,
)
from .types import (
    Batch as Batch,
)
from .types import (
    MixPlan as MixPlan,
)
from .types import (
    StepOutput as StepOutput,
)

__version__: str
