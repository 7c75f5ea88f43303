_base_ = [
    '../../_base_/paper/finetune_yolo.py', '../../_base_/models/yolov8_r50.py',
    '../../_base_/datasets/gc10.py']

custom_imports = dict(imports=['agssp_mm', 'agssp_mm.models.mmyolo_types'])
model = dict(
    bbox_head=dict(head_module=dict(num_classes=10)),
    train_cfg=dict(assigner=dict(num_classes=10)))
train_dataloader = dict(batch_size=32, dataset=dict(dataset=_base_.train_dataset))
val_dataloader = dict(dataset=_base_.val_dataset)
test_dataloader = val_dataloader
load_from = 'work_dirs/yolov8_r50_cls_agdp/detector.pth'

max_epochs = 300  # 500 on the other data sets
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(end=max_epochs)
