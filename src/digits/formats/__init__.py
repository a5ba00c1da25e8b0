"""Labelled images in files of others: IDX, CSV, .mat and .npz, told apart by content. Nothing in them is run."""
