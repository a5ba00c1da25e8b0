"""The test of a network on the test images, and that of a finished run, repeated."""

import json
from dataclasses import replace

import lightning.pytorch as L

from digits import runs
from digits.config.commands import EvaluateConfig
from digits.config.data import MNISTConfig
from digits.data.datamodule import MNISTDataModule
from digits.errors import UserError
from digits.files import expanded, file_errors, made_folder, project_path, resolved, shown, write_text
from digits.models.build import build_network
from digits.tracking.console import log, log_tested, logging_to
from digits.tracking.digits import DigitTracker
from digits.tracking.tensorboard import TensorBoard
from digits.training import checkpoints, devices, resume
from digits.training.calibration import Calibration, calibrate, confidence_figures, logits_of
from digits.training.classifier import DigitClassifier
from digits.training.export import export_text
from digits.training.loss import probabilities
from digits.training.trainer import build_trainer, prepare_process


def test_and_calibrate(
    classifier: DigitClassifier, data: MNISTDataModule, tracker: DigitTracker, trainer: L.Trainer
) -> Calibration:
    """Test a network, calibrate it on validation, and hand the figures and pictures of both to the tracker."""
    trainer.test(classifier, data, verbose=False)
    calibration, figures = calibrate(classifier, data)
    before, labels = tracker.test_probabilities, data.test_set.labels
    after = probabilities(tracker.test_logits, calibration.temperature)
    figures |= confidence_figures(before, labels, "test/uncalibrated")
    figures |= confidence_figures(after, labels, "test/calibrated")
    figures["test/rejected"] = float((after.amax(dim=1) < calibration.reject_below).float().mean())
    if data.own is not None:
        own = probabilities(logits_of(classifier, data.own)).argmax(dim=1) == data.own.labels
        figures["own_digits/accuracy"] = float(own.float().mean())
    tracker.add_calibration(figures, after, classifier.trained_steps)
    return calibration


def evaluate(config: EvaluateConfig) -> None:
    """Repeat the test of a run from its checkpoint; figures and pictures go to the run's folder evaluate/.

    Raises:
        UserError: if there is no such run, or its checkpoint is damaged or another network's.
    """
    prepare_process()
    folder = resolved(config.run) if config.run else runs.newest_finished(config.outputs_dir)
    if folder is None:
        where = project_path(config.outputs_dir)
        raise UserError(f"run: no finished run in {where}; train one first: python src/train.py")
    settings = resume.load_settings(folder)
    if not isinstance(settings.data, MNISTConfig):
        raise UserError(f"run={folder}: is a page network, which has no test images; score.py measures it")
    checkpoint = checkpoints.kept_checkpoint(folder, settings)
    classifier = DigitClassifier(build_network(settings.model), settings)
    checkpoints.restore(classifier, settings.model, checkpoint)
    device = devices.choose(config.accelerator, "accelerator")
    weights = None if config.weights is None else made_folder("weights", expanded(config.weights))
    target = folder / "evaluate"
    with file_errors(target):
        target.mkdir(exist_ok=True)
        for event_file in target.glob("events.out.tfevents.*"):  # of the test before, which this one repeats
            event_file.unlink()
    # the digits of one's own that it was trained on may be gone
    needed = replace(settings.data, own_digits=None, own_fraction=0.0)
    data = MNISTDataModule(needed, settings.augment, settings.seed)
    data.setup("test")
    tracker = DigitTracker(target, TensorBoard(target), data)
    with logging_to(None):
        log.info("testing %s on %s", shown(checkpoint), device.name)
        test_and_calibrate(classifier, data, tracker, build_trainer(settings, device, folder, [tracker]))
        tracker.board.close()
        write_text(target / runs.METRICS_JSON, json.dumps(tracker.tested, indent=2) + "\n")
        log_tested(tracker.tested)
        if weights is not None:
            export_text(classifier.network, weights)
            log.info("weights        %s", shown(weights))
