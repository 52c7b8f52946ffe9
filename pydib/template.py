"""The one door to Jinja2: texts with holes. A hole without a value is an error, never an empty string."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, TemplateNotFound
from jinja2.sandbox import SandboxedEnvironment

from pydib.errors import EngineError, RecipeError


def _configured(kind: type[Environment], loader: PackageLoader | None) -> Environment:
    """Plain text: no HTML escaping, and a line that only holds a statement leaves no empty line behind."""
    return kind(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                keep_trailing_newline=True, autoescape=False)


def render(name: str, **values: object) -> str:
    """The text of our own template `name`, a file in `pydib/templates/`, with `values` filled in.

    Functions may be among the values; a template calls them.

    >>> render("no-such.txt")
    Traceback (most recent call last):
    pydib.errors.EngineError: there is no template no-such.txt

    Raises:
        EngineError: there is no such template, a value is missing, or the template is wrong; all are our mistakes.
    """
    try:
        return _configured(Environment, PackageLoader("pydib", "templates")).get_template(name).render(**values)
    except TemplateNotFound:
        raise EngineError(f"there is no template {name}") from None
    except TemplateError as error:
        raise EngineError(f"the template cannot be filled in: {error}", where=f"pydib/templates/{name}") from None


def render_text(text: str, *, where: str = "", **values: object) -> str:
    """A template that came from outside, filled in. It sees `values` and nothing else of Python.

    >>> render_text("{{ name }}.{{ suffix }}", name="guest", suffix="qcow2")
    'guest.qcow2'

    Args:
        text: the template itself.
        where: the file it comes from, for the error.

    Raises:
        RecipeError: the template is wrong, or it asks for a value that is not given.
    """
    try:
        return _configured(SandboxedEnvironment, None).from_string(text).render(**values)
    except TemplateError as error:
        raise RecipeError(f"the template cannot be filled in: {error}", where=where,
                          hint=f"values that it may use: {', '.join(sorted(values)) or 'none'}") from None
