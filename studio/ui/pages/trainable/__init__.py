"""“What could I train on this card?”: the catalogue's models by method, for any card."""

from studio.ui.pages.trainable.dialog import TrainableDialog

__all__ = ["TrainableDialog"]
