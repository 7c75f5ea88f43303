"""Turning the weights of a backbone into the names of another library, and back."""
from agssp_mm.checkpoints.conversion.convert import ARCHITECTURES, LIBRARIES, Conversion, convert_weights

__all__ = ['ARCHITECTURES', 'LIBRARIES', 'Conversion', 'convert_weights']
