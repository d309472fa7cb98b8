"""A small vision transformer (Dosovitskiy et al., 2021), for images that are as small as CIFAR's."""

from torch import nn
from torchvision.models import VisionTransformer


def make_network(labels: int, image_size: int) -> nn.Module:
    """Give a transformer of six layers, 192 dimensions and 2.7 million weights, which sees patches of 4 pixels.

    Args:
        labels: The number of output labels, K.
        image_size: Height and width of the images, in pixels; a multiple of 4.
    """
    return VisionTransformer(
        image_size=image_size,
        patch_size=4,
        num_layers=6,
        num_heads=3,
        hidden_dim=192,
        mlp_dim=768,
        dropout=0.1,
        num_classes=labels,
    )
