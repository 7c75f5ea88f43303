# The paper's stage 2: neck and head alone, over the frozen backbone of stage 1.
_base_ = './rtmdet_tiny_agdp.py'

model = dict(backbone=dict(frozen_stages=4))
