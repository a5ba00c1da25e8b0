"""A mistake in the settings of any command is one line and exit code 2, before anything is made."""

from pathlib import Path

import pytest
from conftest import Command

LONG = 300 * "n"
"""No file has so long a name."""

MISTAKES: dict[str, list[tuple[str, str]]] = {
    "train": [
        ("trainer.max_epoch=3", "did you mean trainer.max_epochs?"),
        ("trainer.max_epochs=1.5", "trainer.max_epochs=1.5: must be a whole number"),
        ("trainer.max_epochs=0", "trainer.max_epochs=0: must be 1 to"),
        ("trainer.max_epochs=null", "trainer.max_epochs=null: must be a whole number"),
        (
            "experiment=fast/lenet",
            "experiment=fast/lenet: there is no such experiment; choose one of fast/lenet5, fast/sigm",
        ),
        ("model=lenet6", "model=lenet6: there is no such model; choose one of convnet, lenet5, mlp, pages, sigmoid"),
        ("model=null", "model=null: a group takes a name"),
        ("modle=lenet5", "there is no setting modle; did you mean model?"),
        ("model.name=lenet6", "model.name=lenet6: must be one of convnet, lenet5, mlp, pages, sigmoid"),
        ("model.hidden=[3]", "it is a setting of model=mlp or sigmoid"),
        ("optimizer.learning_rate=0", "optimizer.learning_rate=0.0: must be above 0"),
        ("data.val_size=60000", "data.val_size=60000: must be 0 to 59999"),
        ("data.train_size=55001", "data.train_size=55001: must be 1 to 55000"),
        ("trainer.accelerator=tpu", "trainer.accelerator=tpu: must be one of auto, cpu, gpu"),
        ("model=sigmoid,lenet5", "model=sigmoid,lenet5: is several values; add -m"),
        ("model=[lenet5,sigmoid]", "model=[lenet5,sigmoid]: is a list; a group takes one name, such as model=lenet5"),
        ("trainer.early_stopping.patience=0", "trainer.early_stopping.patience=0: must be 1 or above, or null"),
        ("trainer.early_stopping=3", "trainer.early_stopping=3: must be a group of settings"),
        ("seed=-1", "seed=-1: must be 0 to"),
        ("seed=${nothing}", "Interpolation key 'nothing' not found"),
        ("~seed", "seed: not given"),
        ("~seed + seed=3", "seed: this config has no seed; write +seed=VALUE"),
        ("+speed=9", "there is no setting speed"),
        ("run_name=a/b", "run_name=a/b: must be a folder's name"),
        ("seed", "seed: sets nothing; write SETTING=VALUE, such as seed=VALUE"),
        ("epochs + 3", "epochs: sets nothing; write SETTING=VALUE, such as trainer.max_epochs=VALUE"),
        ("epochs=3", "there is no setting epochs; did you mean trainer.max_epochs?"),
        ("lr=0.1", "there is no setting lr; did you mean optimizer.learning_rate?"),
        ("gpu=1", "did you mean trainer.accelerator=gpu?"),
        ("train.max_epochs=3", "did you mean trainer.max_epochs?"),
        ("--epochs=3", "there is no such flag; a setting is written without dashes, such as trainer.max_epochs=3"),
        ("--cfg", "expected one argument"),
        ("--resolve", "--resolve: The --resolve flag can only be used in conjunction with --cfg or --help"),
        ("--run + -m", "Only one of --run, --multirun, --cfg, --info and --shell_completion can be specified"),
        ("resume=~no.one", "resume=~no.one: there is no "),
        (f"resume={LONG}", f"{LONG}: File name too long"),
        (f"start_from={LONG}", f"{LONG}: File name too long"),
        (f"data.path={LONG}", f"{LONG}: File name too long"),
        ("seed=(1", "seed=(1: cannot be read as key=value"),
        ("data.val_size=0 + trainer.early_stopping.patience=2", "trainer.early_stopping.patience=2: must be null"),
        ("trainer.accelerator=cpu + trainer.precision=16-mixed", "trainer.precision=16-mixed: must be 32-true"),
        ("trainer.capture=maybe", "trainer.capture=maybe: must be auto or false"),
        ("model=mlp + model.hidden=[10,null]", "must be a list of whole numbers"),
        ("model=mlp + model.input_range=[]", "model.input_range=[]: must be two finite numbers"),
        ("optimizer=lbfgs + trainer.precision=bf16-mixed", "trainer.precision=bf16-mixed: must be 32-true"),
        ("--epochs + 3", "--epochs: there is no such flag; a setting is written without dashes, such as trainer.max_e"),
        ("seed=1 + --cfg + job + seed=2", "seed=2: settings stand together; write flags before or behind all"),
        ("--config-name + nothing", "Cannot find primary config 'nothing'"),
        ("trainer.max_time=soon", "trainer.max_time=soon: must be days:hours:minutes:seconds"),
        ("trainer=ddp + data.batch_size=null", "trainer.strategy=ddp: must be auto with data.batch_size=null"),
        (
            "trainer=ddp + data.hard_example_fraction=0.5",
            "trainer.strategy=ddp: must be auto with data.hard_example_fraction=0.5",
        ),
        ("trainer=ddp", "trainer.strategy=ddp: needs a run by torchrun or srun, such as torchrun"),
        ("model=pages + data=mnist", "data.name=mnist: must be pages with model=pages"),
        ("data=pages", "data.name=pages: must be pages with model=pages"),
        ("model=pages + augment=light", "model=pages: must be another network with augment=light"),
        ("model=pages + data.val_size=0", "data.val_size=0: must be 1 to 1000000000"),
        ("model=pages + data.batch_size=null", "data.batch_size=null: must be a whole number"),
        ("model=pages + trainer=ddp", "trainer.strategy=ddp: must be auto with data=pages"),
        (
            "data.own_digits=digits",
            "digits: must be null where data.own_fraction is 0, as it is without experiment=my_",
        ),
        ("outputs_dir=", "outputs_dir=: must be a folder"),
        (f"run_name={LONG}", f"run_name={LONG}: must be a folder's name"),
        ("data.own_fraction=1", "data.own_fraction=1.0: must be 0 to below 1"),
        ("data.own_fraction=0.001", "data.own_fraction=0.001: must be 0, or one image of a batch, 0.0078"),
        ("data.path=a.csv + data.test_path=b.csv + data.test_size=5", "data.test_size=5: must be null where"),
        ("data.test_size=5", "data.test_size=5: must be null where data.path is"),
        (
            "data.batch_size=null + data.synthetic_fraction=0.1",
            "data.synthetic_fraction=0.1: must be 0 where data.batch_size=null",
        ),
    ],
    "predict": [
        ("", "img: not given; write img=..."),
        ("img=", "img=: must be a file, a folder"),
        ("img=~nobody.png", "img=~nobody.png: no such file or folder"),
        ("img=a.png + run=", "run=: must be a run's folder or an .onnx file, or null"),
        ("img=a.png + format=xml", "format=xml: must be one of table, json, csv"),
        ("img=a.png + digits=auto,one", "digits=auto,one: is several values; give one, or quote a single one"),
        ("img=a.png + digits=two", "digits=two: must be one of auto, one"),
        ("img=a.png + reject=maybe", "reject=maybe: must be true or false"),
    ],
    "score": [
        ("", "pictures: not given; write pictures=..."),
        ("pictures=gone", "no such folder; give a folder of LABEL_n.png"),
        ("pictures=", "pictures=: must be a folder of LABEL_n.png, or an .npz file with x and y"),
    ],
    "draw": [
        ("host=nowhere.invalid", "host=nowhere.invalid: is no address"),
        ("host=192.0.2.7", "host=192.0.2.7: is no address of this machine"),
        ("host=''", "host=: must be an address"),
        ("port=70000", "port=70000: must be 0 to 65535; 0 takes a free one"),
        ("run=nowhere.onnx", "run=nowhere.onnx: cannot be read"),
        ("colour=blue", "colour=blue: there is no setting colour"),
        (f"own_digits={__file__}", "must be a folder; "),
    ],
    "compare": [
        (
            "experiments=[nothing]",
            "experiments=nothing: experiment=nothing: there is no such experiment; choose one of",
        ),
        ("settings=[seed=3]", "named by its row and seed (with settings=[seed=3])"),
        ("experiments=[]", "experiments=[]: must be a list of at least one, none of them twice"),
        ("seeds=[1,1]", "seeds=[1, 1]: must be a list of at least one, none of them twice"),
        ("settings=[++seed=3]", "has seed, resume, run_name or outputs_dir; every run is a new one"),
        ("seeds=[-1]", "seed=-1: must be 0 to"),
        ("experiments=['lenet5_adam modl=3']", "experiments=lenet5_adam modl=3: modl: there is no setting modl"),
        ("experiments=['lenet5_adam seed=3']", "has seed, resume, run_name or outputs_dir; every run is a new one"),
        (
            "experiments=['lenet5_adam outputs_dir=o']",
            "has seed, resume, run_name or outputs_dir; every run is a new one",
        ),
        ("experiments=['lenet5_adam \"']", 'experiments=lenet5_adam ": No closing quotation'),
        ("experiments=[model=pages]", "experiments=model=pages: is a page network, which has no test images; score.py"),
        ("settings=[data.val_size=x]", "data.val_size=x: must be a whole number"),
        ("sedes=[1]", "sedes=[1]: there is no setting sedes; did you mean seeds?"),
    ],
    "sweep": [
        ("trials=0", "trials=0: must be 1 to 100000"),
        ("study=a/b", "study=a/b: must be a name of up to 100 letters, digits, _, - and ."),
        ("space.schedule=null", "space.schedule=null: must be text"),
        ("space=x", "space=x: there is no such space; choose one of distortion, learning"),
        ("data.val_size=0", "data.val_size=0: must be above 0, or there is no val/loss"),
        ("run_name=x", "run_name=x: must be null in a sweep, which names its own runs"),
        ("trainer.max_time=1:00", "trainer.max_time=1:00: must be null in a sweep"),
        ("-m + trials=1,2", "-m: is for train.py alone; leave it out"),
        ("space=distortion", "space: augment.rotation: this augment has no rotation"),
        ("optimizer=lbfgs", "space: "),
        ("optimizer.learning_rate=1", "optimizer.learning_rate=1: must be left out, because the space varies it"),
        ("modle=x", "modle=x: there is no setting modle; did you mean model?"),
    ],
    "benchmark": [
        ("what=none", "what=none: must be one of train, predict, all, or null"),
        ("models=[]", "models=[]: must be a list of lenet5, sigmoid or both"),
        ("rounds=0", "rounds=0: must be 1 to 1000"),
    ],
}
"""By command what is typed, words parted by ` + `, and what is answered."""

CASES = [(name, typed, line) for name, mistakes in MISTAKES.items() for typed, line in mistakes]


@pytest.mark.parametrize(("name", "typed", "line"), CASES)
def test_a_mistake_is_one_line(command: Command, tmp_path: Path, name: str, typed: str, line: str) -> None:
    outputs = tmp_path / "outputs"
    outcome = command(name, f"outputs_dir={outputs}", *filter(None, typed.split(" + ")), code=2)
    assert outcome.err.startswith("error: ")
    assert line in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert not outputs.exists()
