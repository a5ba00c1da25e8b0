"""Which images are used for what, and how they are dealt out."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import settings

from digits.config.data import DataConfig
from digits.data import mnist
from digits.data.datamodule import MNISTDataModule, split
from digits.data.sampler import ChunkSampler, Share


@pytest.fixture(scope="module")
def labels(data_dir: Path) -> Any:
    return mnist.read(data_dir, train=True)[1].numpy()


def config(data_dir: Path, **changes: Any) -> DataConfig:
    return replace(settings(f"data.dir={data_dir}").data, **changes)


def module(data_dir: Path, seed: int = 1, processes: int = 1, **changes: Any) -> MNISTDataModule:
    data = MNISTDataModule(config(data_dir, **changes), settings().augment, seed, processes)
    data.setup("fit")
    return data


def test_the_default_split_never_changes(labels: Any) -> None:
    held_out, used = split(labels, 5000, None)
    digest = hashlib.sha256(held_out.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest == "f21fb36628287aa78d0a42c9eebbf1b15d71781e24357cf23b01f4452a68f5c2"
    assert len(held_out) == 5000
    assert len(used) == 55_000
    assert sorted([*held_out.tolist(), *used.tolist()]) == list(range(60_000))


@pytest.mark.parametrize(("val_size", "train_size"), [(5000, None), (5000, 100), (17, 1000), (0, 10), (59_990, None)])
def test_held_out_and_used_images_are_stratified(labels: Any, val_size: int, train_size: int | None) -> None:
    held_out, used = split(labels, val_size, train_size)
    assert len(held_out) == val_size
    assert len(used) == (train_size or 60_000 - val_size)
    assert not set(held_out.tolist()) & set(used.tolist())
    frequency = np.bincount(labels, minlength=10) / len(labels)
    for part in (held_out, used):
        counts = np.bincount(labels[part.numpy()], minlength=10)
        assert np.abs(counts - frequency * len(part)).max() <= 2


def batches(chunk_size: int, seed: int, epoch: int, *others: Share, batches_per_epoch: int = 100) -> list[list[int]]:
    """The indices of each mini-batch: 10 from the first 1,000 images, and what the other shares add."""
    shares = [Share(range(1000), 10), *others]
    sampler = ChunkSampler(
        lambda _: shares, lambda _: batches_per_epoch, chunk_size, seed, lambda: epoch, torch.device("cpu")
    )
    chunks = list(sampler)
    size = sum(share.per_batch for share in shares)
    assert {len(chunk) for chunk in chunks[:-1]} <= {size * chunk_size}
    return [batch.tolist() for chunk in chunks for batch in chunk.split(size)]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    assert batches(3, 1, 0) == batches(64, 1, 0)
    assert sorted(index for batch in batches(3, 1, 0) for index in batch) == list(range(1000))
    assert batches(3, 1, 0) != batches(3, 1, 1)
    assert batches(3, 1, 1) != batches(3, 2, 0)


def test_an_epoch_of_fewer_or_more_mini_batches_takes_the_images_in_passes() -> None:
    assert batches(3, 1, 0, batches_per_epoch=40) == batches(3, 1, 0)[:40]
    found = [index for batch in batches(3, 1, 0, batches_per_epoch=250) for index in batch]
    assert sorted(found[:1000]) == sorted(found[1000:2000]) == list(range(1000))
    assert len(set(found[2000:])) == 500
    assert found[:1000] != found[1000:2000]


def test_each_mini_batch_has_its_shares_in_their_order() -> None:
    found = batches(7, 1, 0, Share(range(1000, 1030), 2), Share(range(1030, 1100), 3))
    assert len(found) == 100
    assert sorted(index for batch in found for index in batch[:10]) == list(range(1000))
    drawn = [index for batch in found for index in batch[10:12]]
    assert sorted(drawn[:30]) == sorted(drawn[30:60]) == list(range(1000, 1030))  # all once, then all again
    assert {index for batch in found for index in batch[12:]} == set(range(1030, 1100))
    assert found == batches(64, 1, 0, Share(range(1000, 1030), 2), Share(range(1030, 1100), 3))


def test_a_pass_is_cut_to_what_processes_can_share(data_dir: Path) -> None:
    share = Share(range(103), 10, divisor=4)
    assert (share.pass_size, share.batches) == (100, 10)
    assert Share(range(7), 4, divisor=2).batches == 2
    assert module(data_dir, processes=3, train_size=100, batch_size=129).batch_size == 99


def test_later_epochs_take_the_images_with_the_largest_losses(data_dir: Path) -> None:
    data = module(data_dir, train_size=100, hard_example_fraction=0.1, batch_size=4)
    data.losses = torch.arange(100.0) % 50
    assert data.shares_in(0) == data.shares
    (share,) = data.shares_in(1)
    assert list(share.images) == [45, 46, 47, 48, 49, 95, 96, 97, 98, 99]
    assert (data.steps(1), data.steps(3)) == (25, 25 + 3 + 3)
    assert [data.images_in(epoch) for epoch in (0, 1, 2)] == [100, 10, 10]
    sampler = ChunkSampler(data.shares_in, data.steps_in, 2, 1, lambda: 1, torch.device("cpu"))
    assert sorted(torch.cat(list(sampler)).tolist()) == list(share.images)
