"""How a value is written into shell text, so that the shell reads it back as that value and nothing else.

The literal text before a value decides: in `rm {{ x }}` the value becomes a single-quoted word, in `"of {{ x }}"`
it is escaped for double quotes, in `'{{ x }}'` for single ones. Where a shell's reading cannot be foreseen
(here-documents, backticks, arithmetic, `${…}`, comments, after a `$`), the author is told at save.
Rules: POSIX.1-2017, Shell Command Language §2.2, §2.3, §2.6; where bash and dash differ, we refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum


class Quoting(StrEnum):
    """What a template's text is for: `SHELL` is read by a POSIX shell, `PLAIN` by nobody but its parameter."""

    PLAIN = "plain"
    SHELL = "shell"


class Place(StrEnum):
    """Where in shell text a value stands."""

    BARE = "bare"
    SINGLE = "single"
    DOUBLE = "double"


def quote(value: str, place: Place) -> str:
    """Write `value` for `place`. Always quoted when bare: `if`, `2` and `A=b` mean something to a shell."""
    match place:
        case Place.BARE:
            return "'" + value.replace("'", "'\\''") + "'"
        case Place.SINGLE:
            return value.replace("'", "'\\''")
        case Place.DOUBLE:
            return re.sub(r'[\\$`"]', r"\\\g<0>", value)


# What a shell is in the middle of. The first three read words, so a value becomes a quoted word there.
_COMMANDS = frozenset({"top", "(", "$("})
_REFUSED = {
    "`": "in backticks",
    "${": "in ${…}",
    "$((": "in arithmetic",
    "#": "in a comment, which a newline in the value would end",
    "<<": "in a here-document",
}
# A seat-belt for the usual ways to have text read twice, not a wall: `xargs`, `find -exec sh` and others remain.
_SECOND_SHELL = re.compile(
    r"""(?<![\w.-])(?:eval\s
      |(?:sh|bash|dash|ash|ksh|zsh|su)\s+(?:.*\s)?-[A-Za-z]*c\s+(?:"[^"]*|'[^']*|\S*)$
      |ssh\s+(?:-(?>[bcDEeFIiJLlmOopQRSWw]\s*\S+|\S+)\s+)*+[^-\s]\S*\s)  # what follows the host""",
    re.VERBOSE | re.DOTALL,
)
_HEREDOC = re.compile(r"""<<(-?)[ \t]*(['"]?)([A-Za-z0-9_.]+)\2(?=[\s;|&<>()])""")
_WORD_BREAKS = frozenset(" \t\n;|&()<>")


@dataclass(frozen=True, slots=True)
class ShellState:
    """What a POSIX shell has in hand after some text. Compare two to learn whether two branches agree."""

    frames: tuple[str, ...] = ("top",)
    after: str = ""  # a backslash or a dollar sign that waits for the next character
    at_word: bool | None = True  # a word may begin here; None where the branches of an `if` differ
    word: str = ""  # the literal beginning of the word at hand
    command: str = ""  # the literal beginning of the simple command at hand, at most 512 characters
    outer: tuple[str, ...] = ()  # the commands around it, outermost first: one for each open ( and $(
    heredocs: tuple[tuple[bool, str], ...] = ()  # (tabs are stripped, delimiter) whose bodies are to come
    line: str = ""  # of a here-document's body
    lost: str = ""  # why the rest cannot be followed

    def joined(self, other: ShellState) -> ShellState | None:
        """The state after an `if` with two branches, or None where what follows would be read differently."""
        mine = self.frames, self.after, self.heredocs, self.line, self.lost
        if mine != (other.frames, other.after, other.heredocs, other.line, other.lost):
            return None
        at_word = self.at_word if self.at_word is other.at_word else None
        return replace(self, at_word=at_word, command=other.command if other.read_again() else self.command)

    def place(self) -> Place | str:
        """Where a value that follows here would stand, or why it may not."""
        frame = self.frames[-1]
        if self.lost:
            return self.lost
        if self.after:
            return f"right after {'a dollar sign' if self.after == '$' else 'a backslash'}"
        if frame in _REFUSED:
            return _REFUSED[frame]
        return {"'": Place.SINGLE, '"': Place.DOUBLE}.get(frame, Place.BARE)

    def read_again(self) -> bool:
        """Whether the value goes to a second shell (`sh -c "… value"`, `eval`, `ssh host "…"`)."""
        return _SECOND_SHELL.search(self.command) is not None

    def value(self) -> ShellState:
        """The state after a value was written."""
        return replace(self, at_word=False, word="", command=(self.command + "\N{OBJECT REPLACEMENT CHARACTER}")[-512:])

    def feed(self, text: str) -> ShellState:
        """The state after literal `text`."""
        reader = _Reader(self)
        reader.read(text)
        return reader.state()


class _Reader:
    """The moving parts of `ShellState.feed`."""

    def __init__(self, start: ShellState) -> None:
        self.frames = list(start.frames)
        self.after, self.at_word, self.word = start.after, start.at_word, start.word
        self.command, self.outer, self.heredocs = start.command, list(start.outer), list(start.heredocs)
        self.line, self.lost = start.line, start.lost

    def state(self) -> ShellState:
        return ShellState(
            tuple(self.frames), self.after, self.at_word, self.word, self.command[-512:], tuple(self.outer),
            tuple(self.heredocs), self.line, self.lost,
        )  # fmt: skip

    def read(self, text: str) -> None:
        position = 0
        while position < len(text) and not self.lost:
            position += self._step(text, position)

    def _step(self, text: str, at: int) -> int:
        """Read the character at `at` and give how many characters were read."""
        char, frame = text[at], self.frames[-1]
        if frame == "<<":
            return self._heredoc_line(text, at)
        if frame == "#" and char != "\n":
            return 1
        if frame == "#":
            self.frames.pop()
            frame = self.frames[-1]
        if not self.after.endswith("\\") and frame not in "'`" and text.startswith("$((", at):
            self.after = ""
            self.frames += ["$((", "$(("]
            return 3
        after, self.after = self.after, ""
        if frame not in _COMMANDS:
            self.command += char
            self._inside(char, frame, after)
            return 1
        return self._in_command(text, at, after)

    def _inside(self, char: str, frame: str, after: str) -> None:
        """One character in quotes, `${…}`, arithmetic or backticks."""
        if frame == "'":
            if char == "'":
                self.frames.pop()
        elif after.endswith("\\"):
            self._escaped(char, after)
        elif char == "\\":
            self.after = after + char
        elif frame == "`":
            if char == "`":
                self.frames.pop()
        elif after == "$" and char in "({":
            self._open(after, char)
        elif char == "$":
            self.after = char
        elif char == "`":
            self.frames.append(char)
        elif frame == '"':
            if char == '"':
                self.frames.pop()
        elif char in "'\"":
            self.lost = f"after quotes {_REFUSED[frame]}, which shells read differently"
        elif frame == "${" and char == "}":
            self.frames.pop()
        elif frame == "$((" and char in "()":
            if char == "(":
                self.frames.append(frame)
            else:
                self.frames.pop()

    def _open(self, after: str, char: str) -> None:
        self.frames.append(after + char)
        if char == "(":
            self.outer.append(self.command)
            self.command = ""
        self.at_word, self.word = True, ""

    def _in_command(self, text: str, at: int, after: str) -> int:
        """One character where the shell reads words."""
        char = text[at]
        if after.endswith("\\"):
            if not self._escaped(char, after):
                self._letter(char)
        elif after == "$" and char in "({":
            self._open(after, char)
        elif after == "$" and char == "'":
            self.lost = "after $'…', which shells read differently"
        elif char == "\\":
            self.after = after + char
        elif char == "$":
            self.after = char
            self.at_word = False
            self.command += char
        elif char in "'\"`":
            self.frames.append(char)
            self.at_word, self.word = False, ""
            self.command += char
        elif char == "#" and self.at_word is not False:
            self.frames.append("#")
            if self.at_word is None:
                self.lost = "after a # that is a comment in only one branch of an `if`"
        elif text.startswith("<<<", at):
            self.command += "<<<"
            self.at_word, self.word = True, ""
            return 3
        elif text.startswith("<<", at):
            return self._heredoc(text, at)
        elif char in _WORD_BREAKS:
            self._break(char)
        else:
            self._letter(char)
        return 1

    def _escaped(self, char: str, after: str) -> bool:
        """A character after a backslash. True for a newline: both are as if they had not been written (§2.2.1)."""
        if char == "\n":
            self.after = after[:-1]
        return char == "\n"

    def _letter(self, char: str) -> None:
        self.at_word = False
        self.word += char
        self.command += char

    def _break(self, char: str) -> None:
        """White space or an operator: the word ends, and maybe the command, the line or the brackets."""
        if self.word == "case" and "$(" in self.frames:
            self.lost = "after `case` in $(…), whose brackets need not match"
        self.at_word, self.word = True, ""
        if char in " \t<>":
            self.command += char
            return
        if char == "(":
            if self.frames[-1] == "$(" and not self.command:
                self.lost = "after $( that an opening bracket follows at once"
            self._open("", char)
        elif char == ")" and len(self.frames) > 1:
            self.at_word = self.frames.pop() == "("  # what follows $(…) belongs to its word
            self.command = self.outer.pop()
        else:
            self.command = ""
        if char == "\n" and self.heredocs:
            self.frames.append("<<")

    def _heredoc(self, text: str, at: int) -> int:
        match = _HEREDOC.match(text, at)
        if match is None:
            self.lost = "after a here-document whose delimiter is not plain text"
            return 2
        self.heredocs.append((match[1] == "-", match[3]))
        self.command += match[0]
        self.at_word, self.word = False, ""
        return len(match[0])

    def _heredoc_line(self, text: str, at: int) -> int:
        end = text.find("\n", at)
        if end < 0:
            self.line += text[at:]
            return len(text) - at
        line, self.line = self.line + text[at:end], ""
        strip_tabs, delimiter = self.heredocs[0]
        if (line.lstrip("\t") if strip_tabs else line) == delimiter:
            del self.heredocs[0]
            if not self.heredocs:
                self.frames.pop()
        return end + 1 - at
