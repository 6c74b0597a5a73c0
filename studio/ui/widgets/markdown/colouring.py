"""Colours for code: comments, strings, numbers and the words that most languages share."""

from __future__ import annotations

import re

from PySide6.QtGui import QColor, QSyntaxHighlighter, QTextCharFormat, QTextDocument

from studio.ui.theme import theme

_HASH = {"python", "py", "bash", "sh", "shell", "zsh", "yaml", "yml", "toml", "ruby", "rb", "r",
         "perl", "dockerfile", "makefile", "ini", "powershell", "ps1"}  # fmt: skip
_DASHES = {"sql", "lua", "haskell", "hs", "ada"}
_PLAIN = {"", "text", "txt", "plain", "plaintext", "output", "console", "markdown", "md"}
_WORDS = (
    "and|as|assert|async|await|begin|bool|boolean|break|case|catch|char|class|"
    "const|continue|create|def|default|del|delete|do|double|elif|else|elsif|end|"
    "enum|esac|except|export|extends|extern|false|False|fi|final|finally|float|fn|"
    "for|foreach|from|func|function|global|go|goto|group|if|impl|implements|import|"
    "in|insert|int|interface|into|is|join|lambda|let|local|long|loop|match|mod|"
    "module|move|mut|namespace|new|nil|none|None|not|null|nullptr|of|or|order|"
    "override|package|pass|private|protected|pub|public|raise|ref|require|return|"
    "select|self|short|signed|sizeof|static|string|struct|super|switch|table|"
    "template|then|this|throw|throws|trait|true|True|try|type|typedef|typeof|"
    "undefined|union|unless|unsigned|until|update|use|using|val|values|var|virtual|"
    "void|volatile|when|where|while|with|yield"
)
_STRINGS = r"\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|`[^`]*`?"
_NUMBERS = r"\b(?:0x[0-9a-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\b"
_TOKENS = {"comment": "mute", "string": "ok", "number": "warn", "word": "accent_text"}


class Colouring(QSyntaxHighlighter):
    """Line by line, by the rules that fit the language best."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._language, self._pattern = "", _pattern("")
        theme().changed.connect(self.rehighlight)

    def set_language(self, language: str) -> None:
        """Take the rules of this language, as a fence names it."""
        language = language.lower()
        if language != self._language:
            self._language, self._pattern = language, _pattern(language)
            self.rehighlight()

    def highlightBlock(self, text: str) -> None:
        if self._pattern is None:
            return
        for match in self._pattern.finditer(text):
            look = QTextCharFormat()
            kind = str(match.lastgroup)
            look.setForeground(QColor(theme().color(_TOKENS[kind])))
            if kind == "comment":
                look.setFontItalic(True)
            self.setFormat(match.start(), match.end() - match.start(), look)


def _pattern(language: str) -> re.Pattern[str] | None:
    if language in _PLAIN:
        return None
    comment = r"#.*" if language in _HASH else r"--.*" if language in _DASHES else r"//.*|/\*.*?\*/"
    flags = re.IGNORECASE if language == "sql" else 0
    return re.compile(
        f"(?P<string>{_STRINGS})|(?P<comment>{comment})|(?P<number>{_NUMBERS})"
        rf"|(?P<word>\b(?:{_WORDS})\b)",
        flags,
    )
