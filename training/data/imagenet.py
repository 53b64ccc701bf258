"""ImageNet (ILSVRC 2012): 1,281,167 images to learn from and 50,000 to test with, of 1,000 classes.

It cannot be downloaded without an account, so it is read where it lies: as `train` and `val` folders, or as the
archives that image-net.org gives, which are unpacked there once (150 GB). At 224 x 224 its pixels would be 193 GB.
"""

from pathlib import Path

from torchvision.datasets import ImageNet

from training.data.folder import folder_source
from training.data.undecoded import Source

DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
ARCHIVES = {"train": "ILSVRC2012_img_train.tar", "val": "ILSVRC2012_img_val.tar"}


def open_imagenet(path: str, cache: Path) -> Source:
    """`imagenet:PATH`, or `imagenet` in the cache; classes are WordNet ids, in the order that classifiers use.

    Raises:
        ValueError: it is not there.
    """
    root = Path(path) if path else cache / "imagenet"
    for split, archive in ARCHIVES.items():
        if not (root / split).is_dir() and (root / archive).is_file():
            _unpack(root, split)
    if not any((root / split).is_dir() for split in ARCHIVES):
        raise ValueError(
            f"ImageNet is not in {root}; register at image-net.org, put {', '.join(ARCHIVES.values())} and {DEVKIT} "
            "there, or give imagenet:PATH with the folders train and val"
        )
    return folder_source(root)


def _unpack(root: Path, split: str) -> None:
    try:
        ImageNet(str(root), split)
    except (RuntimeError, OSError) as error:
        raise ValueError(f"ImageNet's {ARCHIVES[split]} in {root} cannot be unpacked: {error}") from error
