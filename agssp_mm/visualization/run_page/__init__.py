"""The run page: one HTML file that shows the maps, the boxes and the training of a run."""
from .page import PageOptions, try_to_write_run_page, write_run_page

__all__ = ['PageOptions', 'try_to_write_run_page', 'write_run_page']
