"""What a pretraining run chooses beside its detector."""
import math
from dataclasses import dataclass, field

#: Most images in an epoch of the pretraining: checkpoints are written, and taken up, between epochs.
EPOCH_IMAGES = 20_000


@dataclass(frozen=True)
class RecipeSettings:
    """Settings of the three stages.

    Attributes:
        images: Folder, text file or COCO JSON of the unlabelled images.
        store: Folder of their map store.
        out: Folder that the stages write below: ``agbp/``, ``agdp/`` and ``finetune/``.
        image_root: Folder that listed names are relative to; None: the folder itself, or that of the list.
        num_images: Number of unlabelled images, where it is known; warm-up and averages follow it.
        image_size: Side of the crops, and longer side of whole images, in pixels.
        held_out: Images that AGBP measures its agreement on instead of training with them.
        agbp_epochs: Length of stage 1, in passes over the images; 0 leaves it out, and stage 2 starts from the weights
            that it would have.
        agdp_epochs: Length of stage 2, likewise.
        agdp_rounds: How often stage 2 is trained, each time after the first on the boxes that the detector before it
            finds.
        finetune_epochs: Length of the fine-tuning.
        batch_size: Images per step and process in stage 1; stage 2 and the fine-tuning take half.
        devices: Number of processes, for the learning rate.
        agbp_lr: Learning rate of stage 1.
        agdp_lr: Learning rate of stage 2; None: the config's own, scaled to the batch.
        freeze_backbone: Keep the backbone of stage 1 as it is in stage 2, as AGSSP does (arXiv 2509.18919); training it
            too measured better (docs/research.md).
        paste_defects: Paste made defects, with their exact boxes, onto the images of stage 2; the paper does not
            (docs/research.md).
        rule: Config of the box rule.
        image_loader: Config of the transform that reads the images of all stages.
        start: "imagenet" (initial weights of the config itself), "none", or a checkpoint (file or URL) of a whole
            detector or of a backbone.
        bare_start: That checkpoint holds a backbone without the prefix ``backbone.``.
        classes: Names of the classes of the fine-tuning.
        train_annotations: COCO file of the fine-tuning.
        num_labelled: Number of its images, where it is known; warm-up and averages follow it.
        with_sound_images: Whether some of its images have no box.
        val_annotations: COCO file that it is measured on.
        annotated_images: Folder of the images that these name.
        workers: Loader processes per process; 0 loads in the process itself.
        seed: Of the trainings.
    """

    images: str
    store: str
    out: str
    image_root: str | None = None
    num_images: int | None = None
    image_size: int = 256
    held_out: int = 0
    agbp_epochs: int = 5
    agdp_epochs: int = 6
    agdp_rounds: int = 1
    finetune_epochs: int = 60
    batch_size: int = 16
    devices: int = 1
    agbp_lr: float = 2e-5
    agdp_lr: float | None = None
    freeze_backbone: bool = False
    paste_defects: bool = True
    rule: dict = field(default_factory=lambda: dict(type='ComponentTreeBoxRule'))
    image_loader: dict = field(default_factory=lambda: dict(type='LoadImageFromFile'))
    start: str = 'imagenet'
    bare_start: bool = False
    classes: tuple[str, ...] = ('defect', )
    train_annotations: str = 'annotations/train.json'
    num_labelled: int | None = None
    with_sound_images: bool = False
    val_annotations: str = 'annotations/val.json'
    annotated_images: str = 'images/'
    workers: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        least = dict(image_size=32, agbp_epochs=0, agdp_epochs=1, agdp_rounds=1, finetune_epochs=1, batch_size=1,
                     devices=1, held_out=0, workers=0)
        for name, lowest in least.items():
            if getattr(self, name) < lowest:
                raise ValueError(f'{name} must be at least {lowest}, got {getattr(self, name)}')
        for name in ('agbp_lr', 'agdp_lr'):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f'{name} must be > 0, got {getattr(self, name)}')
        if isinstance(self.classes, str) or not self.classes:
            raise ValueError(f'classes must be one or more names, got {self.classes!r}')

    @property
    def has_start_file(self) -> bool:
        """Whether a checkpoint is given to start from."""
        return self.start not in ('imagenet', 'none')

    @property
    def epoch_parts(self) -> int:
        """How many epochs of MMEngine make a pass of the pretraining over the images."""
        return math.ceil((self.num_images or 1) / EPOCH_IMAGES)

    @property
    def detector_batch_size(self) -> int:
        """Images per step and process in stage 2 and the fine-tuning."""
        return max(self.batch_size // 2, 1)
