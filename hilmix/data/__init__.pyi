from .datamodule import AnnotatedDataModule as AnnotatedDataModule
from .folder import read_folder as read_folder, write_folder as write_folder
from .inputs import ArrayInputs as ArrayInputs, ImageFiles as ImageFiles, InputKind as InputKind, Inputs as Inputs
from .items import AnnotatedData as AnnotatedData
from .masks import Masks as Masks
from .splits import draw_stratified_split as draw_stratified_split
from .targets import Aggregated as Aggregated, Pairs as Pairs, Targets as Targets, TrueLabels as TrueLabels
from .validation import check_validation as check_validation
