"""Training with Lightning: everything that happens between a dataset and a run folder. Extra `train`.

softlabels.py  tables of probabilities: a teacher's opinion instead of labels
prepare.py     a recipe's data, found, decoded and checked
material.py    one split: cached waveforms and targets, by batch
batches.py     which clips are in which batch, as a function of seed and epoch alone
augment.py     mixup, time shift and SpecAugment, batched, on the device
imagenet.py    ImageNet weights for backbones: torchvision's, EfficientNet-Lite0's
start.py       the network a run starts from
launch.py      who starts a run's processes, what stops them, and what Lightning would take from outside
schedule.py    the learning rate at each update
objective.py   the loss: binary cross entropy, guide loss, the penalty that keeps the sigmoid alive
module.py      the LightningModule: steps, validation at several rates, optimizer
state.py       Lightning's checkpoint as one safetensors file
callbacks.py   the best network, the log, and the run's status
loaders.py     a run's data, as Lightning asks for it
trainer.py     Lightning's Trainer, set up for a run
fit.py         all of it put together
"""
