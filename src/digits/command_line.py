"""What every entry point shares: settings checked, a user's mistake answered in one line, paths taken as typed."""

import difflib
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_type_hints

import yaml
from hydra._internal.utils import get_args_parser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException, ValidationError

from digits.config.train import GROUPS, TrainConfig
from digits.errors import UserError, as_yaml, refused_files, require
from digits.files import ROOT, project_path

PATH_SETTINGS = (
    "annotate",
    "data.dir",
    "data.own_digits",
    "data.path",
    "data.test_path",
    "data_dir",
    "experiments",
    "explain",
    "img",
    "out",
    "outputs_dir",
    "own_digits",
    "pages",
    "pictures",
    "resume",
    "run",
    "run_name",
    "settings",
    "start_from",
    "weights",
)
"""Settings whose values are names that people gave their files, or lists of other settings; Hydra's grammar would
refuse `img=photo (1).jpg`."""

ALIASES = {
    "batch": "data.batch_size",
    "bs": "data.batch_size",
    "cuda": "trainer.accelerator=gpu",
    "device": "trainer.accelerator",
    "epochs": "trainer.max_epochs",
    "gpu": "trainer.accelerator=gpu",
    "image": "img",
    "lr": "optimizer.learning_rate",
    "n_epochs": "trainer.max_epochs",
    "name": "run_name",
    "network": "model",
    "num_epochs": "trainer.max_epochs",
    "wd": "optimizer.weight_decay",
}
"""What other programs call settings."""

EXIT_PIPE_CLOSED = 141
"""The exit code where nobody reads the output any more: 128 and the number of SIGPIPE, which Windows has not."""

MULTIRUN = ("-m", "--multirun")
"""Hydra takes these before or behind the settings only."""

QUOTES = "'\""

IN_A_LIST = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?:\[[^\]]*\]|[^,])+)\s*(?:,|$)""")
"""A value of a list: quoted, or up to a comma that is not in a list of its own."""

KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list[int]: "a list of whole numbers, such as [200]",
    list[str]: "a list of texts, such as [one,two]",
    list[float]: "a list of numbers, such as [0, 1]",
}

Schema = TypeVar("Schema")

OmegaConf.register_new_resolver("project_path", lambda path: str(project_path(path)), replace=True)


def run(main: Callable[[], None], schema: type) -> None:
    """Run an entry point's Hydra main; a config that cannot be composed is one line and exit code 2, Ctrl-C is 130.

    Args:
        main: the function that `hydra.main` made.
        schema: the dataclass of its settings, for the list of what could have been meant.
    """
    several = any(flag in sys.argv for flag in MULTIRUN)
    sys.argv[1:] = sorted((as_typed(argument, several) for argument in sys.argv[1:]), key=MULTIRUN.__contains__)
    _check_arguments(schema)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what went wrong instead of printing it
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        fail(explain(error, schema))
    except yaml.YAMLError as error:
        fail(f"conf: {' '.join(str(error).split())}; must be YAML")
    except ValueError as error:
        *_, (raised_in, _) = traceback.walk_tb(error.__traceback__)
        if not raised_in.f_globals["__name__"].startswith("hydra."):
            raise
        problem = str(error).partition("\n")[0]
        if problem.startswith("Config group override must be"):  # the answer to model=3 and model=null
            problem = "a group takes a name, such as model=lenet5; --help lists them"
        fail(f"{' '.join(sys.argv[1:])}: {problem}")
    except KeyboardInterrupt:
        sys.exit(130)


def _check_arguments(schema: type) -> None:
    """Answer flags that Hydra does not have, and words that set nothing, in one line instead of its usage."""
    parser = get_args_parser()
    vars(parser)["error"] = lambda message: fail(f"{' '.join(sys.argv[1:])}: {message}")
    arguments, unknown = parser.parse_known_args(sys.argv[1:])
    if arguments.multirun and schema is not TrainConfig:
        fail("-m: is for train.py alone; leave it out")
    for flag in unknown:
        if not flag.startswith("-"):
            fail(f"{flag}: settings stand together; write flags before or behind all of them")
        key, _, value = flag.lstrip("-").partition("=")
        value = value or next((word for word in arguments.overrides if "=" not in word), "VALUE")
        setting = _meant(key, schema) or f"SETTING={value}"
        fail(f"{flag}: there is no such flag; a setting is written without dashes, such as {_assigned(setting, value)}")
    for word in arguments.overrides:
        group, _, value = word.partition("=")
        if value.startswith("[") and group in all_settings(schema) and (ROOT / "conf" / group).is_dir():
            one = value.strip("[]").partition(",")[0] or "NAME"
            fail(f"{word}: is a list; a group takes one name, such as {group}={one}")
        if "=" not in word and not word.startswith("~"):
            meant = _meant(word, schema)
            example = _assigned(meant, "VALUE") if meant else f"{fields(schema)[0].name}={word}"
            fail(f"{word}: sets nothing; write SETTING=VALUE, such as {example}")


def _assigned(setting: str, value: str) -> str:
    return setting if "=" in setting else f"{setting}={value}"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Show a UserError as one line and exit with code 2; inside Hydra's main, which would add a line of its own."""
    try:
        with refused_files():
            yield
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough; what is still to be written goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_PIPE_CLOSED)
    except UserError as error:
        fail(str(error))


def announce_loading() -> None:
    """Print in a terminal why nothing happens for some seconds."""
    if sys.stderr.isatty():
        sys.stderr.write("loading PyTorch and Lightning ...\n")


def fail(line: str) -> None:
    """Show one line on stderr and exit with code 2."""
    sys.stderr.write(f"error: {line}\n")
    sys.exit(2)


def as_typed(argument: str, several: bool = False) -> str:
    """Quote the value of a path setting, so that Hydra takes spaces, brackets, commas and any script as they are.

    Where there are `several` runs, a comma parts the values that they have.
    """
    key, equals, value = argument.partition("=")
    if key not in PATH_SETTINGS or value in ("", "null") or (value[0] in QUOTES and value[-1] == value[0]):
        return argument
    is_list = value.startswith("[") and value.endswith("]")
    if not is_list and not several:
        return key + equals + quoted(value)
    parts = filter(None, map(str.strip, IN_A_LIST.findall(value[1:-1] if is_list else value)))
    joined = ",".join(part if part[0] in QUOTES or (several and part == "null") else quoted(part) for part in parts)
    return f"{key}=[{joined}]" if is_list else f"{key}={joined}"


def quoted(text: str) -> str:
    """Return a text as a value of Hydra's grammar, in which nothing is put in by OmegaConf."""
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)
    return "'" + re.sub(r"(\\*)('|\Z)", lambda end: 2 * end[1] + ("\\'" if end[2] else ""), text) + "'"


def checked(config: DictConfig, schema: type[Schema]) -> Schema:
    """Turn a composed config into its dataclass.

    Raises:
        UserError: for the first setting that is unknown or missing, or has a wrong type, name or value.
    """
    structured = OmegaConf.structured(schema)
    for group in GROUPS.keys() & structured.keys():
        name = OmegaConf.select(config, f"{group}.name")
        require(name in GROUPS[group], f"{group}.name", name, "one of " + ", ".join(GROUPS[group]))
        structured[group] = GROUPS[group][name]
    try:
        return cast("Schema", OmegaConf.to_object(OmegaConf.merge(structured, config)))
    except ConfigKeyError as error:
        raise UserError(_unknown(str(error.full_key), schema)) from error
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: not given; write {error.full_key}=...") from error
    except ValidationError as error:
        key = str(error.full_key)
        value = as_yaml(OmegaConf.select(config, key))
        right = _kind(all_settings(schema).get(key.partition("[")[0], str))  # of a list, not of its one value
        raise UserError(f"{key}={value}: must be {right}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error


def explain(error: Exception, schema: type) -> str:
    """Return in one line what was wrong with a config that Hydra could not compose."""
    message = str(error)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = str(error.missing_cfg_file).partition("/")
        folder = ROOT / "conf" / group
        ours = {file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")}
        there = sorted(ours if "/" in option else ours | set(error.options))
        return f"{group}={option}: there is no such {group}; choose one of {', '.join(there)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value; quote a value that has spaces, commas or brackets"
    if sweep := re.match(r"Ambiguous value for argument '([^']+)'", message):
        several = "add -m to run them one after the other" if schema is TrainConfig else "give one"
        return f"{sweep[1]}: is several values; {several}, or quote a single one"
    if key := re.match(r"Could not override '([^'@]+)", message):
        return _unknown(key[1], schema)
    lines = [line.strip() for line in message.splitlines() if not re.match(r" +(full_key|\w+_type)", line)]
    return " ".join(lines)


def _unknown(key: str, schema: type) -> str:
    typed = next((word for word in sys.argv[1:] if word.lstrip("+~").partition("=")[0] == key), key)
    known = all_settings(schema)
    group, _, setting = key.rpartition(".")
    if key in known:
        settings_of = GROUPS.get(group, {})
        owners = [name for name, settings in settings_of.items() if setting in get_type_hints(settings)]
        if not owners:
            return f"{typed}: this config has no {key}; write +{key}=VALUE"
        return f"{typed}: this {group} has no {setting}; it is a setting of {group}={' or '.join(owners)}"
    if meant := _meant(key, schema):
        return f"{typed}: there is no setting {key}; did you mean {meant}?"
    siblings = [name.removeprefix(f"{group}.") for name in known if name.rpartition(".")[0] == group]
    there = f"{group or 'the top'} has {', '.join(siblings)}; " if siblings else ""
    return f"{typed}: there is no setting {key}; {there}--help lists the settings"


def _meant(key: str, schema: type) -> str | None:
    """Return the setting that was probably meant by a key that there is not."""
    known = all_settings(schema)
    plain = key.replace("-", "_").rpartition(".")[2]
    alias = ALIASES.get(plain, "")
    if alias.partition("=")[0] in known:
        return alias
    same_end = [name for name in known if name.rpartition(".")[2] == plain]
    if len(same_end) == 1:
        return same_end[0]
    siblings = [name for name in known if name.rpartition(".")[0] == key.rpartition(".")[0]]
    ends = {name.rpartition(".")[2]: name for name in (*known, *siblings)}  # where two are as close, the sibling
    close = difflib.get_close_matches(plain, ends, n=1, cutoff=0.75)
    return ends[close[0]] if close else None


def all_settings(schema: type, prefix: str = "") -> dict[str, Any]:
    """Return the type of every setting by its dotted key, those of all the names that a group has."""
    types: dict[str, Any] = {}
    for name, hint in get_type_hints(schema).items():
        types[prefix + name] = hint
        for settings in GROUPS.get(name, {name: hint}).values():
            if isinstance(settings, type) and is_dataclass(settings):
                types |= all_settings(settings, f"{prefix}{name}.")
    return types


def _kind(hint: Any) -> str:
    if isinstance(hint, UnionType):
        return " or ".join("null" if kind is type(None) else KINDS[kind] for kind in get_args(hint))
    return KINDS.get(hint, "a group of settings, such as --help lists")
