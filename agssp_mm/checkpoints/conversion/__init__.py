"""Turning the weights of a backbone or a detector into the names of another library, and back."""
from agssp_mm.checkpoints.conversion.convert import (ARCHITECTURES, DETECTORS, LIBRARIES, PARTS, Conversion,
                                                     convert_weights)

__all__ = ['ARCHITECTURES', 'DETECTORS', 'LIBRARIES', 'PARTS', 'Conversion', 'convert_weights']
