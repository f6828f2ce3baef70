from . import (
    annotators as annotators,
    callbacks as callbacks,
    data as data,
    diagnostics as diagnostics,
    explanations as explanations,
    functional as functional,
    human as human,
    metrics as metrics,
    mix as mix,
    modules as modules,
)
from .aggregator import (
    Aggregator as Aggregator,
)
from .annotations import (
    Annotations as Annotations,
)
from .annotators import (
    GCE as GCE,
    AnnotatorModel as AnnotatorModel,
    AnnotatorOutput as AnnotatorOutput,
    AnnotMixHead as AnnotMixHead,
    CoNAL as CoNAL,
    ConfusionMatrices as ConfusionMatrices,
    CrowdAR as CrowdAR,
    CrowdLayer as CrowdLayer,
    DawidSkene as DawidSkene,
    GeoRegW as GeoRegW,
    LabelFusion as LabelFusion,
    LabelSmoothing as LabelSmoothing,
    MaDL as MaDL,
    Perfect as Perfect,
    Tempered as Tempered,
    TraceReg as TraceReg,
    UnionNet as UnionNet,
)
from .backbones import (
    MLP as MLP,
    Backbone as Backbone,
    ReadyFeatures as ReadyFeatures,
    TimmBackbone as TimmBackbone,
)
from .callbacks import (
    AnnotatorReport as AnnotatorReport,
    CalibrationReport as CalibrationReport,
    EpochCalibration as EpochCalibration,
    FiniteLoss as FiniteLoss,
    LabelErrors as LabelErrors,
    LabelIssues as LabelIssues,
    LastCheckpoint as LastCheckpoint,
    MaskSensitivity as MaskSensitivity,
    MetricsFile as MetricsFile,
    OutOfFoldFile as OutOfFoldFile,
    PredictionFile as PredictionFile,
    TrainingDynamics as TrainingDynamics,
)
from .cross_fitting import (
    crossfit as crossfit,
)
from .data import (
    Aggregated as Aggregated,
    AnnotatedData as AnnotatedData,
    AnnotatedDataModule as AnnotatedDataModule,
    ArrayInputs as ArrayInputs,
    ImageFiles as ImageFiles,
    Pairs as Pairs,
    Targets as Targets,
    TrueLabels as TrueLabels,
    read_folder as read_folder,
    write_folder as write_folder,
)
from .data.sources import (
    load_source as load_source,
)
from .errors import (
    ConfigError as ConfigError,
    DataError as DataError,
    HilmixError as HilmixError,
    RunError as RunError,
)
from .estimator import (
    AnnotatedClassifier as AnnotatedClassifier,
)
from .explanations import (
    CDEP as CDEP,
    R4 as R4,
    RRR as RRR,
    AvgEx as AvgEx,
    Explanation as Explanation,
    IBPEx as IBPEx,
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
    CutMix as CutMix,
    HiddenMix as HiddenMix,
    ItemMix as ItemMix,
    MixPolicy as MixPolicy,
    NoMix as NoMix,
)
from .modules import (
    CCCClassifier as CCCClassifier,
    Classifier as Classifier,
    CrossFitClassifier as CrossFitClassifier,
    CrowdModel as CrowdModel,
    ELRClassifier as ELRClassifier,
    EMClassifier as EMClassifier,
    FoldNetworks as FoldNetworks,
)
from .predictor import (
    Predictor as Predictor,
    load as load,
)
from .regularizers import (
    EntropyPenalty as EntropyPenalty,
    PriorPenalty as PriorPenalty,
    Regularizer as Regularizer,
    VolumePenalty as VolumePenalty,
)
from .trusted import (
    trust as trust,
)
from .types import (
    Batch as Batch,
    MixPlan as MixPlan,
    StepOutput as StepOutput,
)

__version__: str
