from .class_folders import read_class_folders as read_class_folders
from .copy import copy_readable as copy_readable
from .describe import Description as Description, describe_data as describe_data
from .labels import LabelledItems as LabelledItems, read_labels as read_labels
from .mask_summary import MaskSummary as MaskSummary, summarise_masks as summarise_masks
from .masks import MaskPictures as MaskPictures
from .read import FolderContents as FolderContents, examine_folder as examine_folder, read_folder as read_folder
from .write import write_folder as write_folder
