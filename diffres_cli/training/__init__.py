"""Training with Lightning: everything that happens between a dataset and a run folder. Extra `train`.

softlabels.py  tables of probabilities to train against instead of labels
data.py        a recipe's data, found, decoded and checked
clips.py       clips as batches: waveforms, targets, and what is random about them
batches.py     which clips are in which batch, as a function of seed and epoch alone
augment.py     mixup, time shift and SpecAugment, batched, on the device
imagenet.py    ImageNet weights for backbones: torchvision's, EfficientNet-Lite0's
start.py       the network a run starts from
launch.py      where a run trains, who starts its processes, which signals stop them
loss.py        the loss: binary cross entropy, guide loss, the penalty that keeps the sigmoid alive
statistics.py  BatchNorm statistics at each anchor, as plain averages over batches
module.py      the LightningModule: steps, validation at several rates, optimizer
state.py       Lightning's checkpoint as one safetensors file
callbacks.py   what is kept and reported: the best network, the checkpoint, the log, the progress
loaders.py     a run's data, as Lightning asks for it
trainer.py     Lightning's Trainer, set up for a run
fit.py         all of it put together
"""
