"""The transforms behind the corruptions: 24 named kinds in five families, then eight nameless ones.

Each takes pixels in [0, 1], (N, C, H, W), and a strength in [0, 1], and gives the same shape, not yet clipped; it draws
from torch's global generator. Lengths scale with the image.

Kinds follow Hendrycks and Dietterich (2019), arXiv:1903.12261; the nameless ones are random convolution (Xu et al.,
2020, arXiv:2007.13003), mixup (Zhang et al., 2017, arXiv:1710.09412), cutmix (Yun et al., 2019, arXiv:1905.04899),
patch shuffle, random spectrum gain, smooth warp, tone curve and fractal overlay.
"""

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as TF

from training.data.images import to_images, to_pixels
from trust.preprocess import Pixels

Transform = Callable[[Tensor, float], Tensor]


def gaussian_noise(images: Tensor, strength: float) -> Tensor:
    return TF.gaussian_noise(images, sigma=_between(strength, 0.06, 0.32), clip=False)


def impulse_noise(images: Tensor, strength: float) -> Tensor:
    hit = torch.rand_like(images) < _between(strength, 0.02, 0.22)
    return torch.where(hit, (torch.rand_like(images) < 0.5).float(), images)


def shot_noise(images: Tensor, strength: float) -> Tensor:
    photons = 1 / _between(strength, 0.02, 0.28)
    return torch.poisson(images * photons) / photons


def speckle_noise(images: Tensor, strength: float) -> Tensor:
    return images + images * torch.randn_like(images) * _between(strength, 0.2, 1.2)


def defocus_blur(images: Tensor, strength: float) -> Tensor:
    radius = _between(strength, 1.0, 3.6) * _pixel(images)
    y, x = _offsets(radius + 1)
    return _convolve(images, torch.sigmoid(3 * (radius - (y**2 + x**2).sqrt())))


def gaussian_blur(images: Tensor, strength: float) -> Tensor:
    sigma = _between(strength, 0.6, 2.2) * _pixel(images)
    return TF.gaussian_blur(images, kernel_size=[2 * math.ceil(2.5 * sigma) + 1] * 2, sigma=[sigma] * 2)


def jpeg(images: Tensor, strength: float) -> Tensor:
    quality = round(_between(strength, 30, 3))

    def through_file(pixels: Pixels) -> Pixels:
        file = io.BytesIO()
        Image.fromarray(pixels.squeeze()).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file)).reshape(pixels.shape)

    return to_images(np.stack([through_file(pixels) for pixels in to_pixels(images)]), images.device)


def motion_blur(images: Tensor, strength: float) -> Tensor:
    length = _between(strength, 1.3, 5.0) * _pixel(images)
    y, x = _offsets(length + 1)
    angle = math.pi * torch.rand(()).item()
    along = x * math.cos(angle) + y * math.sin(angle)
    across = y * math.cos(angle) - x * math.sin(angle)
    width = 0.5 * _pixel(images)
    return _convolve(images, torch.exp(-0.5 * (across / width) ** 2) * torch.sigmoid(3 * (length - along.abs())))


def pixelate(images: Tensor, strength: float) -> Tensor:
    share = _between(strength, 0.65, 0.21)
    height, width = images.shape[2:]
    small = F.interpolate(images, (max(1, round(height * share)), max(1, round(width * share))), mode="area")
    return F.interpolate(small, (height, width), mode="nearest")


def brightness(images: Tensor, strength: float) -> Tensor:
    return images + _between(strength, 0.08, 0.5)


def contrast(images: Tensor, strength: float) -> Tensor:
    return TF.adjust_contrast(images, _between(strength, 0.85, 0.25))


def darken(images: Tensor, strength: float) -> Tensor:
    return images - _between(strength, 0.08, 0.5)


def gamma(images: Tensor, strength: float) -> Tensor:
    exponent = _between(strength, 1.4, 4.0)
    return TF.adjust_gamma(images, exponent if _coin() else 1 / exponent)


def posterize(images: Tensor, strength: float) -> Tensor:
    levels = round(_between(strength, 4, 1))
    return (images * levels).round() / levels


def solarize(images: Tensor, strength: float) -> Tensor:
    return TF.solarize(images, _between(strength, 0.85, 0.2))


def elastic(images: Tensor, strength: float) -> Tensor:
    shifts = torch.randn(1, 2, 6, 6, device=images.device) * _between(strength, 0.04, 0.26)
    field = F.interpolate(shifts, images.shape[2:], mode="bicubic", align_corners=True)
    return TF.elastic(images, field.permute(0, 2, 3, 1), fill=0.0)


def rotate(images: Tensor, strength: float) -> Tensor:
    return _affine(images, angle=_either_sign(_between(strength, 8, 60)))


def scale(images: Tensor, strength: float) -> Tensor:
    return _affine(images, scale=1 / _between(strength, 1.15, 2.0) if _coin() else _between(strength, 1.15, 1.7))


def shear(images: Tensor, strength: float) -> Tensor:
    degrees = _either_sign(math.degrees(math.atan(_between(strength, 0.12, 0.8))))
    return _affine(images, shear=[degrees, 0.0] if _coin() else [0.0, degrees])


def translate(images: Tensor, strength: float) -> Tensor:
    angle = 2 * math.pi * torch.rand(()).item()
    reach = _between(strength, 0.05, 0.275)
    height, width = images.shape[2:]
    return _affine(images, translate=[reach * width * math.cos(angle), reach * height * math.sin(angle)])


def fog(images: Tensor, strength: float) -> Tensor:
    amount = _between(strength, 0.15, 0.75)
    haze = 0.5 * smooth_field(images, 4) + 0.5 * smooth_field(images, 7)
    return images * (1 - 0.5 * amount) + amount * haze


def occlude(images: Tensor, strength: float) -> Tensor:
    side = _between(strength, 0.21, 0.71)
    y, x = _unit_grid(images)
    centre = 0.15 + 0.7 * torch.rand(2, len(images), 1, 1, 1, device=images.device)
    covered = ((y - centre[0]).abs() < side / 2) & ((x - centre[1]).abs() < side / 2)
    grey = torch.rand(len(images), 1, 1, 1, device=images.device)
    return torch.where(covered, grey * (grey > 0.5), images)


def shadow(images: Tensor, strength: float) -> Tensor:
    y, x = _unit_grid(images)
    angle = 2 * math.pi * torch.rand(len(images), 1, 1, 1, device=images.device)
    ramp = torch.sigmoid(6 * ((y - 0.5) * angle.sin() + (x - 0.5) * angle.cos()))
    return images * (1 - _between(strength, 0.3, 0.95) * ramp)


def stripes(images: Tensor, strength: float) -> Tensor:
    y, x = _unit_grid(images)
    angle, frequency, phase = torch.rand(3, len(images), 1, 1, 1, device=images.device)
    wave = torch.sin((y * (math.pi * angle).cos() + x * (math.pi * angle).sin()) * (14 + 36 * frequency) + 6.3 * phase)
    return images + _between(strength, 0.1, 0.6) * wave


def random_convolution(images: Tensor, strength: float) -> Tensor:
    channels = images.shape[1]
    kernel = torch.randn(channels, channels, 3, 3, device=images.device) / (3 * math.sqrt(channels))
    filtered = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel)
    keep = images.mean((2, 3), keepdim=True), images.std((2, 3), keepdim=True)
    spread = filtered.std((2, 3), keepdim=True) + 1e-3
    filtered = (filtered - filtered.mean((2, 3), keepdim=True)) / spread * keep[1] + keep[0]
    return torch.lerp(images, filtered, _between(strength, 0.2, 1.0))


def mixup(images: Tensor, strength: float) -> Tensor:
    return torch.lerp(images, shuffled(images), _between(strength, 0.1, 0.5))


def cutmix(images: Tensor, strength: float) -> Tensor:
    field = smooth_field(images, 3)
    edge = torch.quantile(field.flatten(1), 1 - _between(strength, 0.12, 0.5), dim=1).view(-1, 1, 1, 1)
    return torch.where(field > edge, shuffled(images), images)


def patch_shuffle(images: Tensor, strength: float) -> Tensor:
    out = images.clone()
    height, width = images.shape[2:]
    for _ in range(2 * round(_between(strength, 1, 5))):
        side = max(1, round(min(height, width) * _between(torch.rand(()).item(), 0.14, 0.36)))
        (to_y, from_y), (to_x, from_x) = (torch.randint(0, n - side + 1, (2,)).tolist() for n in (height, width))
        patch = images[:, :, from_y : from_y + side, from_x : from_x + side]
        out[:, :, to_y : to_y + side, to_x : to_x + side] = patch
    return out


def spectrum_gain(images: Tensor, strength: float) -> Tensor:
    spectrum = torch.fft.rfft2(images)
    coarse = torch.randn(len(images), 1, 5, 3, device=images.device)
    gain = torch.exp(_between(strength, 0.2, 1.3) * F.interpolate(coarse, spectrum.shape[2:], mode="bilinear"))
    return torch.fft.irfft2(spectrum * gain, s=images.shape[2:])


def smooth_warp(images: Tensor, strength: float) -> Tensor:
    """A random affine map bent by a smooth field, one an image."""
    amount, count = _between(strength, 0.05, 0.4), len(images)
    affine = torch.eye(2, 3, device=images.device) + amount * torch.randn(count, 2, 3, device=images.device)
    bend = 0.5 * amount * torch.randn(count, 2, 4, 4, device=images.device)
    field = F.interpolate(bend, images.shape[2:], mode="bicubic", align_corners=True).permute(0, 2, 3, 1)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False) + field
    return F.grid_sample(images, grid, align_corners=False)


def tone_curve(images: Tensor, strength: float) -> Tensor:
    """Each image through its own curve of eight straight pieces, which may rise or fall."""
    amount, count, device = _between(strength, 0.15, 0.9), len(images), images.device
    walk = (0.5 * torch.randn(count, 9, device=device)).cumsum(1)
    lift = torch.rand(count, 1, device=device) - 0.5
    knots = torch.linspace(0, 1, 9, device=device) + 0.7 * amount * (walk - walk.mean(1, keepdim=True) + lift)
    place = 8 * images.clamp(0, 1).flatten(1)
    piece = place.long().clamp(max=7)
    return torch.lerp(knots.gather(1, piece), knots.gather(1, piece + 1), place - piece).view_as(images)


def fractal(images: Tensor, strength: float) -> Tensor:
    """A sum of random surfaces of five roughnesses laid over each image."""
    weights = torch.randn(5, len(images), 1, 1, 1, device=images.device)
    surfaces = (weight * (smooth_field(images, cells) - 0.5) for weight, cells in zip(weights, _ROUGHNESS, strict=True))
    return images + _between(strength, 0.1, 0.8) * sum(surfaces)


_ROUGHNESS = (2, 4, 8, 14, 28)

FAMILIES: dict[str, tuple[Transform, ...]] = {
    "noise": (gaussian_noise, impulse_noise, shot_noise, speckle_noise),
    "blur": (defocus_blur, gaussian_blur, jpeg, motion_blur, pixelate),
    "tone": (brightness, contrast, darken, gamma, posterize, solarize),
    "geometry": (elastic, rotate, scale, shear, translate),
    "overlay": (fog, occlude, shadow, stripes),
}
NAMED: dict[str, Transform] = {transform.__name__: transform for family in FAMILIES.values() for transform in family}
NAMELESS: dict[str, Transform] = {
    transform.__name__: transform
    for transform in (
        random_convolution,
        mixup,
        cutmix,
        patch_shuffle,
        spectrum_gain,
        smooth_warp,
        tone_curve,
        fractal,
    )
}


def _between(strength: float, mild: float, severe: float) -> float:
    return mild + (severe - mild) * strength


def _coin() -> bool:
    return torch.rand(()).item() < 0.5


def _either_sign(value: float) -> float:
    return value if _coin() else -value


def _pixel(images: Tensor) -> float:
    """Kernel sizes were chosen at 28 pixels a side; this scales them to the image."""
    return min(images.shape[2:]) / 28


def _affine(
    images: Tensor,
    angle: float = 0.0,
    translate: Sequence[float] = (0.0, 0.0),
    scale: float = 1.0,
    shear: Sequence[float] = (0.0, 0.0),
) -> Tensor:
    bilinear = TF.InterpolationMode.BILINEAR
    return TF.affine(images, angle, list(translate), scale, list(shear), interpolation=bilinear, fill=0.0)


def _offsets(reach: float) -> tuple[Tensor, Tensor]:
    line = torch.arange(-math.ceil(reach), math.ceil(reach) + 1.0)
    return torch.meshgrid(line, line, indexing="ij")  # type: ignore[return-value]


def _convolve(images: Tensor, kernel: Tensor) -> Tensor:
    channels, pad = images.shape[1], kernel.shape[0] // 2
    weights = (kernel / kernel.sum()).to(images.device).expand(channels, 1, -1, -1)
    return F.conv2d(F.pad(images, [pad] * 4, mode="constant"), weights, groups=channels)


def _unit_grid(images: Tensor) -> tuple[Tensor, Tensor]:
    y, x = (torch.linspace(0, 1, n, device=images.device) for n in images.shape[2:])
    return y.view(-1, 1), x.view(1, -1)


def smooth_field(images: Tensor, cells: int) -> Tensor:
    """One random smooth surface an image, (N, 1, H, W) in [0, 1]."""
    coarse = torch.randn(len(images), 1, cells, cells, device=images.device)
    field = F.interpolate(coarse, images.shape[2:], mode="bicubic", align_corners=True)
    low, high = field.amin((2, 3), keepdim=True), field.amax((2, 3), keepdim=True)
    return (field - low) / (high - low + 1e-6)


def shuffled(images: Tensor) -> Tensor:
    return images[torch.randperm(len(images), device=images.device)]
