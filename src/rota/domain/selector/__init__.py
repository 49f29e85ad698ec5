"""Text that picks hosts: `all  host:a  group:web  tag:env=prod  tag:staging  site:hq  os:linux  , & ! ~regex ( )`.

    list    = item { "," item }        item  = "!" factor | both
    both    = factor { "&" factor }    factor = "!" factor | "(" list ")" | term

- `a,b` is a or b; `a&b` is both; `!a` is all but a. `!` binds tighter than `&`, and `&` tighter than `,`.
- In a list, items that are only a `!` take away from all the others, wherever they stand: `group:web,!host:a` is
  the group less one host, and so is `!host:a,group:web`; `!a,!b` is all less both. To add what is not a, write
  `group:web,(!host:a)`.
- `~regex` is searched for anywhere in a host's name; it ends at a blank, or at `,` `&` or `)` outside its own
  brackets.
- `host:local` is built in. `all`, `os:`, `!` and `~` mean it only while there is no other host; what names it,
  or was said about it (`host: group: tag: site:`), always may.
- `group:web` are the members of a static group, or what the selector of a dynamic one picks now.

Blanks around words mean nothing. `@file` and `-` are read by the client, see `from_lines`.

`parts` is what a selector is made of, `parsing` reads it, `naming` judges the names in it, `picking` asks an inventory.
"""

from __future__ import annotations

from rota.domain.selector.naming import group_circle, require_known
from rota.domain.selector.parsing import from_lines, parse
from rota.domain.selector.parts import All, And, Names, Not, Pattern, Pick, Selector, Term, format_selector, names
from rota.domain.selector.picking import Picker

__all__ = [
    "All",
    "And",
    "Names",
    "Not",
    "Pattern",
    "Pick",
    "Picker",
    "Selector",
    "Term",
    "format_selector",
    "from_lines",
    "group_circle",
    "names",
    "parse",
    "require_known",
]
