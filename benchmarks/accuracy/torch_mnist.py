"""The row LSTM on MNIST in PyTorch.

    python -m benchmarks.accuracy.torch_mnist --recipe=usual

As one would write it by hand, with three favours: batches are slices of one tensor, which is
quicker than a DataLoader, Adam is fused, and the last hidden state is read, not the last output.
"""

import sys
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from benchmarks.accuracy.mnist_files import read_split
from benchmarks.accuracy.recipe import Recipe, parse_recipe, report
from benchmarks.accuracy.start import gate_biases, recurrent_kernels
from benchmarks.speed.contenders.torch_steps import LSTMClassifier

Data = tuple[Tensor, Tensor]


@torch.no_grad()
def start_as_ours(lstm: nn.LSTM, recipe: Recipe) -> None:
    """Its gates are i, f, g, o, one below the other; of the two biases one does nothing."""
    kernels = recurrent_kernels(recipe.hidden_size, recipe.seed)
    biases = gate_biases(recipe.gate_init, recipe.forget_bias, recipe.hidden_size, recipe.seed)
    lstm.weight_hh_l0.copy_(torch.from_numpy(kernels).flatten(0, 1))
    lstm.bias_ih_l0.copy_(torch.from_numpy(biases).flatten())
    lstm.bias_hh_l0.zero_()


def load(split: str, device: torch.device) -> Data:
    images, labels = read_split(split)
    return torch.from_numpy(images).to(device), torch.from_numpy(labels).long().to(device)


def epoch_of(images: Tensor, labels: Tensor, batch_size: int) -> Iterator[Data]:
    """All whole batches, in random order."""
    order = torch.randperm(len(images), device=images.device)
    for batch in order[: len(order) // batch_size * batch_size].split(batch_size):
        yield images[batch], labels[batch]


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """In %."""
    right = sum(
        (model(part).argmax(1) == truth).sum().item()
        for part, truth in zip(images.split(1000), labels.split(1000), strict=True)
    )
    return 100 * right / len(labels)


def train_usual(recipe: Recipe, model: LSTMClassifier, train: Data, test: Data) -> None:
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=True)
    for epoch in range(recipe.max_epochs):
        for images, labels in epoch_of(*train, recipe.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        reached = accuracy(model, *test)
        report(epoch + 1, reached)
        if reached >= recipe.target:
            return


def train_ours(recipe: Recipe, model: LSTMClassifier, train: Data, test: Data) -> None:
    start_as_ours(model.lstm, recipe)
    images, labels = (part[: recipe.train_examples] for part in train)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0, fused=True)
    rates = recipe.learning_rates()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (*rates, 0.0)[step])
    step = 0
    while step < recipe.total_steps:
        for batch, truth in epoch_of(images, labels, recipe.batch_size):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(batch), truth).backward()
            if recipe.clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            optimizer.step()
            schedule.step()
            step += 1
            if step == recipe.total_steps:
                break
    report(step * recipe.batch_size / len(images), accuracy(model, *test))


def main(arguments: Sequence[str]) -> int:
    recipe = parse_recipe(__doc__, arguments)
    torch.manual_seed(recipe.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = LSTMClassifier(28, recipe.hidden_size, batch_first=True).to(device)
    train = train_usual if recipe.recipe == "usual" else train_ours
    train(recipe, model, load("train", device), load("test", device))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
