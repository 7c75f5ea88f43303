"""Reading, checking and writing checkpoints."""
from agssp_mm.checkpoints.efficientnet_lite import EfficientNetLiteInit

__all__ = ['EfficientNetLiteInit']
