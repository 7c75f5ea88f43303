# Stage 2 once more, from the backbone of stage 1, on the boxes that the detector of the first round finds;
# agssp relabel makes them (docs/own-data.md).
_base_ = './atss_efficientnet-lite0_agdp.py'

train_dataloader = dict(dataset=dict(rule=None, boxes='work_dirs/atss_efficientnet-lite0_agdp/boxes_round2.json'))
