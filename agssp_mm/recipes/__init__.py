"""Recipes: any MMDetection config -> the configs of its anomaly-guided pretraining."""
from .backbone_facts import BackboneFacts, inspect_backbone
from .input_needs import InputNeeds, find_input_needs
from .rounds import round_files, why_one_round
from .runtime import write_config
from .settings import RecipeSettings
from .source_detector import SourceDetector, read_detector
from .stages import derive_agbp, derive_agdp, derive_finetune

__all__ = ['BackboneFacts', 'InputNeeds', 'RecipeSettings', 'SourceDetector', 'derive_agbp', 'derive_agdp',
           'derive_finetune', 'find_input_needs', 'inspect_backbone', 'read_detector', 'round_files', 'why_one_round',
           'write_config']
