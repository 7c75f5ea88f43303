_base_ = [
    '../../_base_/paper/finetune_yolo.py', '../../_base_/models/yolox_cspdarknet.py',
    '../../_base_/datasets/casting_billet.py']

model = dict(bbox_head=dict(num_classes=6))
train_dataloader = dict(batch_size=32, dataset=dict(dataset=_base_.train_dataset))
val_dataloader = dict(dataset=_base_.val_dataset)
test_dataloader = val_dataloader
load_from = 'work_dirs/yolox_cspdarknet_cls_agdp/detector.pth'
