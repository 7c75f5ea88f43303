# The row "SimMIM, ImageNet".
_base_ = './yolox_swin-b_simmim_finetune.py'

load_from = ('https://download.openmmlab.com/mmselfsup/1.x/simmim/simmim_swin-base_16xb128-amp-coslr-800e_in1k-192/'
             'simmim_swin-base_16xb128-amp-coslr-800e_in1k-192_20220916-a0e931ac.pth')
