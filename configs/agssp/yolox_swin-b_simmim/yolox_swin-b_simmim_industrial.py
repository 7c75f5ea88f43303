# The row "SimMIM, industrial": stage 1 without anomaly maps. What the paper does not say is as in stage 1: where it
# starts from, what is frozen, the crops.
_base_ = './yolox_swin-b_simmim_agbp.py'

load, _, *rest = _base_.train_pipeline
train_dataloader = dict(batch_size=320, dataset=dict(pipeline=[load, *rest]))  # on each of two GPUs
custom_hooks = [dict(type='LoadReportHook')]
optim_wrapper = dict(optimizer=dict(lr=1e-4 * 640 / 512))
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[160])
auto_scale_lr = dict(base_batch_size=640)
