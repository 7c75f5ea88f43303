"""Hooks and metrics for the runner."""
from agssp_mm.engine.backbone_start import BackboneStartHook
from agssp_mm.engine.detector_export import DetectorExportHook
from agssp_mm.engine.distillation_pretrainer import DistillationPretrainer
from agssp_mm.engine.freeze import FreezeHook
from agssp_mm.engine.load_report import LoadReportHook
from agssp_mm.engine.map_agreement import MapAgreement

__all__ = ['BackboneStartHook', 'DetectorExportHook', 'DistillationPretrainer', 'FreezeHook', 'LoadReportHook',
           'MapAgreement']
