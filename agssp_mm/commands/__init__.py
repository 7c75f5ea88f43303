"""The sub-commands of ``agssp``, one module each."""
