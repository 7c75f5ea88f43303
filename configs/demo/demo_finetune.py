# Stage 3 of the demo: the same fine-tuning after the pretraining.
_base_ = './demo_imagenet.py'

demo_dir = '{{$AGSSP_DEMO_DIR:work_dirs/demo}}'
model = dict(backbone=dict(init_cfg=None))
load_from = demo_dir + '/agdp/detector.pth'
work_dir = demo_dir + '/finetune'
