# %% [markdown]
# Which labels does a single filter of a ResNet-18 stand for? Run it cell by cell, or `python docs/any_network.py`.

# %%
import torch
import torchvision

import singlefilter as sf

data = sf.load_dataset("digits")  # or your own arrays: uint8 (N, H, W, 3) and whole numbers (N,)
torch.manual_seed(0)
network = torchvision.models.resnet18(num_classes=10)  # published weights need images normalised for them, as floats

# %% The outputs of two layers, (N, F, H, W); the network is frozen.
layers = ["layer1", "layer3"]
train = sf.extract_features(network, data.train.images, layers)
test = sf.extract_features(network, data.test.images, layers)

# %% A linear head on each layer, (K, F, S).
weights = sf.train_heads(train, data.train.labels, epochs=5)

# %% What each filter alone induces on the outputs, and the labels that it stands for.
for layer in layers:
    matrices = sf.filter_matrices(test[layer], data.test.labels, weights[layer])
    statistics = sf.layer_statistics(matrices)
    print(f"{layer}: noise {statistics['noise']:.1f}, {statistics['clusters']:.2f} clusters per filter")

# %%
clusters = sf.find_clusters(matrices)
filter_with_cluster = next(index for index, found in enumerate(clusters) if found)
sf.plot_filter(matrices, filter_with_cluster, class_names=data.class_names).savefig("filter.png")
