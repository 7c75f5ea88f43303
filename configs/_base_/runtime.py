_base_ = 'mmdet::_base_/default_runtime.py'

custom_imports = dict(imports=['agssp_mm'], allow_failed_imports=False)
# Two checkpoints: MMEngine deletes the oldest before it writes the next, and a run may be killed meanwhile.
default_hooks = dict(checkpoint=dict(interval=1, max_keep_ckpts=2), logger=dict(interval=20))
randomness = dict(seed=0)
