# The row "cls, industrial": a classifier of the sources without anomaly maps; the map store only says which image is of
# which source. What the paper does not say is as in stage 1: where it starts from, what is frozen, how long it runs.
_base_ = './yolox_r50_cls_agbp.py'

model = dict(head=dict(loss=dict(loss_weight=1.0)))
train_dataloader = dict(batch_size=256, dataset=dict(pipeline=_base_.plain_pipeline))
custom_hooks = [dict(type='SourceClassesHook'), dict(type='LoadReportHook')]
auto_scale_lr = dict(base_batch_size=256)
