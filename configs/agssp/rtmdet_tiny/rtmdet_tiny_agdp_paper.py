# The paper's stage 2: neck and head alone, over the frozen backbone of stage 1.
_base_ = './rtmdet_tiny_agdp.py'

model = dict(backbone=dict(frozen_stages=4))
find_unused_parameters = True  # the backbone freezes when the training starts, after DDP has counted parameters
# Nothing is pasted either.
pipeline = [step for step in _base_.train_dataloader.dataset.pipeline if step.type != 'PasteDefects']
train_dataloader = dict(dataset=dict(pipeline=pipeline))
