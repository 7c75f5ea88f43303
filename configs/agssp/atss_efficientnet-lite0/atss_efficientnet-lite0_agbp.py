# The backbone is that of RetinaNet, and so is its stage 1.
_base_ = '../retinanet_efficientnet-lite0/retinanet_efficientnet-lite0_agbp.py'
