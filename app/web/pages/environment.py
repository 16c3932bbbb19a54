"""The templates of one language: what does not change from page to page is said once, at the start.

A page holds some two hundred sentences and only a few dozen facts. Where a template says a sentence by
a fixed key (`t("page.skip")`), the sentence takes the call's place when the template is read, and is
joined with the markup around it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, nodes
from jinja2.environment import TemplateModule
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from app.i18n import Lang, text

_TEMPLATES: Final = Path(__file__).parents[1] / "templates"
_SAY: Final = "t"


class _SharedMacros(Template):
    """A template whose macros see the language's globals alone, so that one set serves every page.

    Jinja asks at every import whether the importing page has globals that it has not: none of ours has.
    """

    def _get_default_module(self, _ctx: Context | None = None) -> TemplateModule:
        return super()._get_default_module()


class LanguageEnvironment(Environment):
    """A Jinja environment whose templates speak one language; `t` says a sentence in it."""

    template_class = _SharedMacros

    def __init__(self, lang: Lang) -> None:
        super().__init__(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self.context_class = _PlainContext
        self._lang = lang
        self.globals[_SAY] = partial(text, lang)

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return cast(
            "nodes.Template", _Sayer(self._lang).visit(super()._parse(source, name, filename))
        )


class _Sayer(NodeTransformer):
    """Puts sentences in the place of calls that ask for them by a fixed key, with nothing to fill in."""

    def __init__(self, lang: Lang) -> None:
        self._lang = lang

    def visit_Call(self, node: nodes.Call) -> nodes.Node:  # noqa: N802 - Jinja's name for it
        says = isinstance(node.node, nodes.Name) and node.node.name == _SAY
        if says and not (node.kwargs or node.dyn_args or node.dyn_kwargs):
            (key,) = node.args
            if isinstance(key, nodes.Const):
                return nodes.Const(text(self._lang, key.value), lineno=node.lineno)
        return self.generic_visit(node)


class _PlainContext(Context):
    """Calls what it is given, without asking first whether it wants the context: nothing of ours does.

    That question is a third of the time of a page. Macros know by themselves that all is escaped.
    """

    def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("_block_vars", None)
        kwargs.pop("_loop_vars", None)
        return function(*args, **kwargs)
