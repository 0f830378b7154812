"""Naming what is on an image.

Before a training: `data` (what --data means), `data_check`, `doubtful_labels` and `data_report` (check and its page),
`recipes`, `augmentation` (what a recipe asks for; kerascnn.datasets.augmentation has them), `augmentation_sheet`.
Training: `training` (loss, metrics and fresh networks for kerascnn.training.fit), `losses`, `metrics`, `finetuning`.
Answers: `inference` (views and temperature, in evaluation and export alike), `views` and `crops` (test-time
augmentation), `preprocessing`, `calibration`, `export`. Looking at a network: `evaluation`, `plots`, `features`,
`projector`, `neighbors`; `recorded_data` finds the images of a finished run again.
"""
