"""What a template may say. Reads the text into Jinja's tree and walks it: what is not listed here is refused.

The same walk runs in the daemon when a job is saved (nothing is evaluated there) and in the child that renders.
It also notes which variables a text needs and where it says `| raw`, and wraps every interpolation in the filter
that writes its value for the place where it stands (`quoting`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.parser import Parser

from rota.domain.errors import FieldError, near
from rota.templating.filters import FILTERS, TESTS
from rota.templating.quoting import Place, Quoting, ShellState

LONGEST_TEXT = 64 * 1024  # characters of one template
MOST_PLACES = 1000  # {{ }} and {% %} of one template; 9,000 took 0.9 s to check, in the daemon
LONGEST_EXPRESSION = 4 * 1024  # characters of one `when`
DEEPEST = 40  # nested nodes; an honest template has fewer than ten
BUILT_IN = frozenset({"vars", "host", "run"})

_GRAMMAR = Environment(keep_trailing_newline=True)  # noqa: S701 - reads text into a tree; renders nothing
_CARRIAGE_RETURN = "\ue00d"  # stands in while Jinja reads, which would turn CR LF into LF
_PAIRED = (nodes.And, nodes.Or)
_ARITHMETIC = (nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod)
_VALUES = (
    nodes.Const, nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.Not, nodes.Neg, nodes.Pos,
    nodes.Concat, nodes.CondExpr, nodes.Keyword, *_PAIRED, *_ARITHMETIC,
)  # fmt: skip
_INSTEAD: dict[type[nodes.Node], tuple[str, str]] = {
    nodes.Call: ("a call is not allowed", 'a filter ("| lower"), or a test ("is startingwith")'),
    nodes.Pow: ("`**` is not allowed", "+ - * / // %"),
    nodes.For: ("`for` is not allowed", '`| join(" ")`, or a script that is given the list'),
    nodes.Assign: ("`set` is not allowed", "a variable of the job or playbook"),
    nodes.FilterBlock: ("a filter block is not allowed", "{{ value | filter }}"),
}
_RESERVED = frozenset({"self", "super", "loop", "caller", "varargs", "kwargs"})
_ELSEWHERE = 'assign it first and use that:  v={{ … }}; … "$v"'


@dataclass(frozen=True, slots=True)
class Reading:
    """What a walk found. `references` are names as written (`name`, `vars.name`), those of `optional` ones left out."""

    faults: tuple[FieldError, ...] = ()  # field is ""; `check` fills it in
    references: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()  # every first name, also the optional ones
    raws: tuple[frozenset[str], ...] = ()  # for each `| raw`: the variables that its value is made from


def needs_render(text: str) -> bool:
    """Whether `text` may be a template; a cheap test, true for some text that is not."""
    return "{{" in text or "{%" in text or "{#" in text


def check(text: str, *, where: str, quoting: Quoting = Quoting.PLAIN) -> list[FieldError]:
    """All faults of a template, found without evaluating anything. `where` names the field."""
    return _placed(read(text, quoting).faults, where) if needs_render(text) else []


def check_expression(text: str, *, where: str) -> list[FieldError]:
    """All faults of a `when` expression."""
    return _placed(read_expression(text).faults, where)


def uses_raw(text: str) -> list[str]:
    """The variables that `text` pastes without quoting, one entry for each `| raw`: for plan and policy."""
    if not needs_render(text):
        return []
    return [", ".join(sorted(names)) or "a literal" for names in read(text, Quoting.SHELL).raws]


def names_in(text: str, quoting: Quoting = Quoting.PLAIN) -> frozenset[str]:
    """The variables that `text` cannot do without, as written: `name` or `vars.name`."""
    return read(text, quoting).references if needs_render(text) else frozenset()


@lru_cache(maxsize=512)
def read(text: str, quoting: Quoting) -> Reading:
    """Walk a template's text. Never raises: faults are part of the answer."""
    return _read(text, quoting)[1]


@lru_cache(maxsize=512)
def read_expression(text: str) -> Reading:
    """Walk a `when` expression. Never raises."""
    return _read_expression(text)[1]


def template_tree(text: str, quoting: Quoting) -> tuple[nodes.Template | None, Reading]:
    """The tree to compile, with every interpolation wrapped; None where there are faults."""
    return _read(text, quoting)


def expression_tree(text: str) -> tuple[nodes.Template | None, Reading]:
    """A template that prints `true` or `false` for a `when` expression; None where there are faults."""
    return _read_expression(text)


def _placed(faults: Iterable[FieldError], where: str) -> list[FieldError]:
    return [replace(fault, field=where) for fault in faults]


def _read(text: str, quoting: Quoting) -> tuple[nodes.Template | None, Reading]:
    if len(text) > LONGEST_TEXT:
        return None, _faulty("is too long for a template", f"at most {LONGEST_TEXT} characters", str(len(text)))
    if (places := text.count("{{") + text.count("{%")) > MOST_PLACES:
        return None, _faulty("has too many {{ }} and {% %}", f"at most {MOST_PLACES}", str(places))
    if _CARRIAGE_RETURN in text:
        return None, _faulty("holds the private character U+E00D", "text without it")
    try:
        tree = _GRAMMAR.parse(text.replace("\r", _CARRIAGE_RETURN))
    except TemplateSyntaxError as error:
        return None, _faulty(*_syntax(error, text))
    except RecursionError:
        return None, _faulty("is nested too deep", f"at most {DEEPEST} levels")
    walk = _Walk(ShellState() if quoting is Quoting.SHELL else None)
    walk.body(tree.body)
    return (None if walk.faults else tree), walk.reading()


def _read_expression(text: str) -> tuple[nodes.Template | None, Reading]:
    if len(text) > LONGEST_EXPRESSION:
        return None, _faulty("is too long", f"at most {LONGEST_EXPRESSION} characters", str(len(text)))
    braces = re.fullmatch(r"\s*\{\{(.*)\}\}\s*", text, re.DOTALL)
    source = braces[1] if braces else text
    try:
        parser = Parser(_GRAMMAR, source, state="variable")
        expression: nodes.Expr = parser.parse_expression()
        if not parser.stream.eos:
            raise TemplateSyntaxError("there is more after the expression", parser.stream.current.lineno)
    except TemplateSyntaxError as error:
        return None, _faulty(*_syntax(error, source))
    except RecursionError:
        return None, _faulty("is nested too deep", f"at most {DEEPEST} levels")
    walk = _Walk(None)
    walk.expression(expression)
    if walk.faults:
        return None, walk.reading()
    output = nodes.Output([_filtered(_truth(expression), "=plain")], lineno=1)
    tree = nodes.Template([output], lineno=1)
    tree.set_environment(_GRAMMAR)
    return tree, walk.reading()


def _faulty(message: str, expected: str = "", got: str = "") -> Reading:
    return Reading(faults=(FieldError(field="", message=message, expected=expected, got=got),))


def _syntax(error: TemplateSyntaxError, text: str) -> tuple[str, str]:
    line = f" in line {error.lineno}" if "\n" in text else ""
    tag = re.match(r"Encountered unknown tag '(\w+)'", error.message or "")
    if tag is not None:
        return f"`{tag[1]}` is not a tag of templates{line}", "if, elif, else, endif, raw, endraw"
    return (
        f"is not a template{line}: {error.message}",
        "{{ name }} or {% if … %}; braces meant for another program stand in {% raw %}…{% endraw %}",
    )


def _filtered(value: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None, lineno=value.lineno, environment=_GRAMMAR)


def _truth(node: nodes.Node) -> nodes.Expr:
    """Make `node` answer true or false as `filters.truth` reads it, through `and`, `or` and `not`."""
    if isinstance(node, _PAIRED):
        node.left, node.right = _truth(node.left), _truth(node.right)
        return node
    if isinstance(node, nodes.Not | nodes.Compare | nodes.Test):
        return node
    return _filtered(node, "=truth")


@dataclass
class _Walk:
    """One pass over a tree, in the order of its text."""

    shell: ShellState | None  # None in plain text
    faults: list[FieldError] = field(default_factory=list)
    references: set[str] = field(default_factory=set)
    optional: set[str] = field(default_factory=set)
    roots: set[str] = field(default_factory=set)
    raws: list[frozenset[str]] = field(default_factory=list)

    def reading(self) -> Reading:
        return Reading(
            tuple(dict.fromkeys(self.faults)), frozenset(self.references - self.optional),
            frozenset(self.roots), tuple(self.raws),
        )  # fmt: skip

    def body(self, parts: list[nodes.Node], depth: int = 1) -> None:
        for part in parts:
            if depth > DEEPEST:
                self._fault(part, "is nested too deep", f"at most {DEEPEST} levels")
            elif isinstance(part, nodes.Output):
                part.nodes = [self._piece(piece) for piece in part.nodes]
            elif isinstance(part, nodes.If):
                self._if(part, depth)
            else:
                self._refuse(part)

    def _if(self, part: nodes.If, depth: int) -> None:
        """An `if`: in a command each of its branches must leave the quotes as the others do."""
        before, ends = self.shell, []
        for branch in (part, *part.elif_):
            self.expression(branch.test)
            if not self.faults:
                branch.test = _truth(branch.test)
            self.shell = before
            self.body(branch.body, depth + 1)
            ends.append(self.shell)
        self.shell = before
        self.body(part.else_, depth + 1)
        for end in ends:
            if self.shell is not None and end is not None:
                joined = self.shell.joined(end)
                if joined is None:
                    message = "the branches of an `if` leave the quotes differently"
                    self._fault(part, message, "each quote closed in the branch where it opened")
                    return
                self.shell = joined

    def _piece(self, piece: nodes.Expr) -> nodes.Expr:
        if isinstance(piece, nodes.TemplateData):
            piece.data = piece.data.replace(_CARRIAGE_RETURN, "\r")
            if self.shell is not None:
                self.shell = self.shell.feed(piece.data)
            return piece
        last = piece.name if isinstance(piece, nodes.Filter) else ""
        if last == "raw":
            inner = piece.node if isinstance(piece, nodes.Filter) and piece.node is not None else piece
            self._arguments(piece)
            names = self.expression(inner)
            if self.shell is None:
                self._fault(piece, "`| raw` has no meaning here, as nothing is quoted", "the value without it")
            self.raws.append(frozenset(names))
            return _filtered(inner, "=plain")
        self.expression(piece)
        return self._written(piece, last)

    def _written(self, piece: nodes.Expr, last: str) -> nodes.Expr:
        """Wrap an interpolation in the filter for its place."""
        if self.shell is None:
            return _filtered(piece, "=plain")
        place = self.shell.place()
        if not isinstance(place, Place):
            self._fault(piece, f"no value can be written safely {place}", _ELSEWHERE)
            return piece
        again, quoted = self.shell.read_again(), last == "quote"
        if again and not quoted:
            self._fault(
                piece,
                "a second shell would read the value as code",
                "`| quote` as its last filter, or an argument: sh -c '… \"$1\"' sh {{ … }}",
            )
        self.shell = self.shell.value()
        once = quoted and place is Place.BARE and not again  # `{{ x | quote }}`, as one writes it elsewhere
        return _filtered(piece, "=plain" if once else f"={place}")

    def _arguments(self, piece: nodes.Expr) -> None:
        if isinstance(piece, nodes.Filter) and (piece.args or piece.kwargs):
            self._fault(piece, "`raw` takes no arguments")

    def expression(self, node: nodes.Node, depth: int = 1) -> set[str]:
        """Check an expression; give the variables that it is made from, as `name` or `name.item`."""
        if depth > DEEPEST:
            self._fault(node, "is nested too deep", f"at most {DEEPEST} levels")
            return set()
        if not isinstance(node, _VALUES):
            self._refuse(node)
            return set()
        self._names(node)
        if isinstance(node, nodes.Const) and isinstance(node.value, str):
            node.value = node.value.replace(_CARRIAGE_RETURN, "\r")
        within = {name for child in node.iter_child_nodes() for name in self.expression(child, depth + 1)}
        spelled = next(_spelled(node), "")
        found = {spelled} if spelled else within  # of `vars.x` not also `vars`
        if self.faults:
            return found  # no tree will come of it, and it may be too deep to rewrite
        if isinstance(node, nodes.Not):
            node.node = _truth(node.node)
        elif isinstance(node, nodes.CondExpr):
            node.test = _truth(node.test)
        return found

    def _names(self, node: nodes.Node) -> None:
        """What one node says by name: a variable, an attribute, a filter, a test."""
        match node:
            case nodes.Name(name=name):
                self.roots.add(name)
                if name.startswith("_") or name in _RESERVED:
                    self._fault(node, f"`{name}` is private", "a variable")
                elif name not in BUILT_IN:
                    self.references.add(name)
            case nodes.Getattr(attr=name) | nodes.Getitem(arg=nodes.Const(value=str(name))):
                if name.startswith("_"):
                    self._fault(node, f"`{name}` is private", "an item of the value")
                elif isinstance(node.node, nodes.Name) and node.node.name == "vars":
                    self.references.add(f"vars.{name}")
            case nodes.Filter(name=name):
                if name == "raw":
                    self._fault(node, "`raw` stands only at the end", "{{ … | raw }}")
                elif name not in FILTERS:
                    self._unknown(node, "filter", name, FILTERS)
                elif name == "default" and node.node is not None:
                    self.optional |= set(_spelled(node.node))
            case nodes.Test(name=name):
                if name not in TESTS:
                    self._unknown(node, "test", name, TESTS)
                elif name in ("defined", "undefined"):
                    self.optional |= set(_spelled(node.node))

    def _refuse(self, node: nodes.Node) -> None:
        message, expected = _INSTEAD.get(type(node), (f"`{type(node).__name__.lower()}` is not allowed", ""))
        self._fault(node, message, expected)

    def _unknown(self, node: nodes.Node, what: str, name: str, known: Iterable[str]) -> None:
        words = sorted(word for word in known if word.isalpha())
        self._fault(node, f"there is no {what} `{name}`", " ".join(words), hint=near(name, words))

    def _fault(self, node: nodes.Node, message: str, expected: str = "", hint: str = "") -> None:
        line = f" (line {node.lineno})" if (node.lineno or 1) > 1 else ""  # some of Jinja's nodes have none
        self.faults.append(FieldError(field="", message=message + line, expected=expected, hint=hint))


def _spelled(node: nodes.Node) -> Iterator[str]:
    """`name` and `vars.name` as `references` writes them."""
    match node:
        case nodes.Name(name=name):
            yield name
        case nodes.Getattr(node=nodes.Name(name=root), attr=name):
            yield f"{root}.{name}"
            yield root
        case nodes.Getitem(node=nodes.Name(name=root), arg=nodes.Const(value=str(name))):
            yield f"{root}.{name}"
            yield root
