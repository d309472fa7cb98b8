"""YAML that PyYAML and DVC's own reader (ruamel.yaml) read alike: YAML 1.2's core schema, and nothing in doubt."""

import re
from typing import Any

import yaml

MOST_DEPTH = 20  # of lists and mappings within each other


class UnclearYaml(Exception):
    """A text is not YAML, or two readers of YAML could read it in different ways; the message names the line."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise UnclearYaml(f"line {key.start_mark.line + 1}: a key must be a word, in quotes if it is a number")
            if key.value in seen:
                raise UnclearYaml(f"line {key.start_mark.line + 1}: the key {key.value!r} is there twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


# https://yaml.org/spec/1.2.2/#1032-tag-resolution, but for leading zeros, which the readers take differently
for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]+)?)", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.nan|\.NaN|\.NAN", "-+."),
):
    expression = re.compile(f"(?:{pattern})$")
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", expression, [*first.replace("\0", ""), ""])

_NUMBER_LIKE = re.compile(r"[-+]?[0-9._][-+0-9_.:eExXoObBa-fA-FTtZ ]*")
_DIGEST = re.compile("[0-9a-f]{64}")  # SHA-256; text to both readers


def load_yaml(text: str) -> Any:
    """Read a text.

    Raises:
        UnclearYaml: The text is not YAML, or has what two readers could read in different ways: numbers with leading
            zeros or underscores, in base 2 or 60, dates, repeated keys, merged keys, tags, directives, anchors, block
            scalars.
    """
    try:
        if directive := re.search("^%.*", text, re.MULTILINE):
            raise UnclearYaml(f"line {text[: directive.start()].count(chr(10)) + 1}: directives are not read")
        depth = 0
        for event in yaml.parse(text, _Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            problem = _problem(event) or (depth > MOST_DEPTH and "lists are nested too deep")
            if isinstance(event, yaml.MappingStartEvent) and event.flow_style and text[event.start_mark.index] != "{":
                problem = "a colon in a list needs braces around the pair, or quotes"
            if problem:
                raise UnclearYaml(f"line {event.start_mark.line + 1}: {problem}")
        return yaml.load(text, _Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnclearYaml(f"line {mark.line + 1}: {error.problem}") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise UnclearYaml(" ".join(str(error).split())) from error


def _problem(event: yaml.Event) -> str | None:
    """Say what in an event of the parser two readers could read in different ways."""
    if getattr(event, "anchor", None):
        return "anchors and aliases are not read; write the values out"
    if getattr(event, "tag", None):
        return f"tags are not read, such as {event.tag}"
    if isinstance(event, yaml.ScalarEvent) and event.style in ("|", ">"):
        return f"texts after {event.style} are not read; write them in quotes"
    if isinstance(event, yaml.ScalarEvent) and event.implicit[0]:
        if event.value in ("<<", "="):
            return "merged keys are not read; write the values out"
        tag = _Loader("").resolve(yaml.ScalarNode, event.value, event.implicit)
        is_text = tag.endswith(":str") and not _DIGEST.fullmatch(event.value)
        if is_text and _NUMBER_LIKE.fullmatch(event.value):
            return f"{event.value!r} is read as different values by different programs; write it plainly, or in quotes"
    return None
