"""What every entry point shares: settings checked, a user's mistake answered in one line, paths taken as typed."""

import difflib
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import is_dataclass
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_type_hints

import yaml
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, MissingMandatoryValue, OmegaConfBaseException, ValidationError

from digits.config import NAMED, ROOT, project_path
from digits.errors import UserError, require_one_of

PATH_SETTINGS = (
    "annotate",
    "data.dir",
    "data.mine",
    "data.path",
    "data.test_path",
    "data_dir",
    "experiments",
    "explain",
    "img",
    "mine",
    "out",
    "outputs_dir",
    "pictures",
    "resume",
    "run",
    "run_name",
    "runs",
    "settings",
    "start_from",
    "teacher",
    "weights",
)
"""Settings whose values are names that people gave their files, or lists of other settings; Hydra's grammar would
refuse `img=photo (1).jpg`."""

QUOTES = "'\""

IN_A_LIST = re.compile(r"""\s*('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|(?:\[[^\]]*\]|[^,\[])+)\s*(?:,|$)""")
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
    several = ("-m", "--multirun")  # Hydra takes these before or behind the settings only
    sys.argv[1:] = sorted((as_typed(argument) for argument in sys.argv[1:]), key=several.__contains__)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises what went wrong instead of printing it
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        fail(explain(error, schema))
    except yaml.YAMLError as error:
        fail(f"conf: {' '.join(str(error).split())}; must be YAML")
    except ValueError as error:
        if not str(error).startswith("Config group override must be"):  # Hydra's answer to model=3 and model=null
            raise
        fail(f"{' '.join(sys.argv[1:])}: a group takes a name, such as model=lenet5; --help lists them")
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Show a UserError as one line and exit with code 2; inside Hydra's main, which would add a line of its own."""
    try:
        yield
    except UserError as error:
        fail(str(error))


def announce_loading() -> None:
    """Say in a terminal why nothing happens for some seconds."""
    if sys.stderr.isatty():
        sys.stderr.write("loading PyTorch and Lightning ...\n")


def fail(line: str) -> None:
    """Show one line on stderr and exit with code 2."""
    sys.stderr.write(f"error: {line}\n")
    sys.exit(2)


def as_typed(argument: str) -> str:
    """Quote the value of a path setting, so that Hydra takes spaces, brackets, commas and any script as they are."""
    key, equals, value = argument.partition("=")
    if key not in PATH_SETTINGS or value in ("", "null") or value[0] in QUOTES:
        return argument
    if value.startswith("[") and value.endswith("]"):
        parts = [one.strip() for one in IN_A_LIST.findall(value[1:-1])]
        return f"{key}=[{','.join(one if one[0] in QUOTES else quoted(one) for one in parts if one)}]"
    return key + equals + quoted(value)


def quoted(text: str) -> str:
    """Give a text as a value of Hydra's grammar."""
    trailing = len(text) - len(text.rstrip("\\"))
    return "'" + text.replace("'", "\\'") + "\\" * trailing + "'"


def checked(config: DictConfig, schema: type[Schema]) -> Schema:
    """Turn a composed config into its dataclass.

    Raises:
        UserError: for the first setting that is unknown or missing, or has a wrong type, name or value.
    """
    structured = OmegaConf.structured(schema)
    for group in NAMED.keys() & structured.keys():
        name = OmegaConf.select(config, f"{group}.name")
        require_one_of(f"{group}.name", name, tuple(NAMED[group]))
        structured[group] = NAMED[group][name]
    try:
        return cast("Schema", OmegaConf.to_object(OmegaConf.merge(structured, config)))
    except ConfigKeyError as error:
        raise UserError(_unknown(str(error.full_key), schema)) from error
    except MissingMandatoryValue as error:
        raise UserError(f"{error.full_key}: not given; write {error.full_key}=...") from error
    except ValidationError as error:
        key = str(error.full_key)
        found = OmegaConf.select(config, key)
        right = _kind(_settings(schema)[key.partition("[")[0]])  # of a list, not of its one value
        raise UserError(f"{key}={'null' if found is None else found}: must be {right}") from error
    except OmegaConfBaseException as error:
        raise UserError(f"{error.full_key}: {str(error).splitlines()[0]}") from error


def explain(error: Exception, schema: type) -> str:
    """Say in one line what was wrong with a config that Hydra could not compose."""
    message = str(error)
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, option = str(error.missing_cfg_file).partition("/")
        folder = ROOT / "conf" / group
        ours = {file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")}
        there = sorted(ours if "/" in option else ours | set(error.options))
        return f"{group}={option}: there is no such {group}; choose one of {', '.join(there)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value; quote a value that has spaces, commas or brackets"
    if several := re.match(r"Ambiguous value for argument '([^']+)'", message):
        return f"{several[1]}: is several values; add -m to run them one after the other, or quote a single one"
    if key := re.match(r"Could not override '([^'@]+)", message):
        return _unknown(key[1], schema)
    shown = [line.strip() for line in message.splitlines() if not re.match(r" +(full_key|\w+_type)", line)]
    return " ".join(shown)


def _unknown(key: str, schema: type) -> str:
    typed = next((one for one in sys.argv[1:] if one.lstrip("+~").partition("=")[0] == key), key)
    known = _settings(schema)
    group, _, setting = key.rpartition(".")
    if key in known:
        owners = [name for name, one in NAMED[group].items() if setting in get_type_hints(one)]
        return f"{typed}: this {group} has no {setting}; it is a setting of {group}={' or '.join(owners)}"
    close = difflib.get_close_matches(key, known, n=1)
    meant = f"did you mean {close[0]}?" if close else "--help lists the settings"
    beside = [one.removeprefix(f"{group}.") for one in known if one.rpartition(".")[0] == group]
    there = f"{group or 'the top'} has {', '.join(beside)}; " if beside else ""
    return f"{typed}: there is no setting {key}; {there}{meant}"


def _settings(schema: type, prefix: str = "") -> dict[str, Any]:
    """Give the type of every setting by its dotted key, those of all the names that a group has."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(schema).items():
        found[prefix + name] = hint
        for one in NAMED.get(name, {name: hint}).values():
            if isinstance(one, type) and is_dataclass(one):
                found |= _settings(one, f"{prefix}{name}.")
    return found


def _kind(hint: Any) -> str:
    if isinstance(hint, UnionType):
        return " or ".join("null" if one is type(None) else KINDS[one] for one in get_args(hint))
    return KINDS.get(hint, "a group of settings, such as --help lists")
