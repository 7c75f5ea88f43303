"""The run page: one HTML file that shows the maps, the boxes and the training of a run."""
from .page import PageOptions, write_run_page

__all__ = ['PageOptions', 'write_run_page']
