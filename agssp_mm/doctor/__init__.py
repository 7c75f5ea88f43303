"""What is wrong with an environment, and the command that mends it.

This room imports neither torch nor any OpenMMLab package: it has to run where they are missing or crash. What can crash
runs in a child process (``steps.py``).
"""
