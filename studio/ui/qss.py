"""The one stylesheet, keyed on dynamic properties; colours come in from the theme's tokens."""

from __future__ import annotations

# Properties: QLabel `t` (kind of text) and `pill`, QFrame `card` and `tone`, QPushButton `k`.
# A radius above half the height is ignored by Qt, so pills and chips have a fixed height.
_TEMPLATE = """
QMainWindow, QDialog, QWidget#page {{ background: {bg}; }}
QFrame#side {{ background: {side}; border: 0; border-right: 1px solid {line}; }}
QFrame#footer {{ background: {bg}; border: 0; border-top: 1px solid {line}; }}
QToolTip {{ background: {raised}; color: {text}; border: 1px solid {line2}; padding: 5px 7px; }}

QLabel {{ background: transparent; }}
QLabel[t="h1"] {{ font-size: 22px; font-weight: 600; }}
QLabel[t="h2"] {{ font-size: 15px; font-weight: 600; }}
QLabel[t="b"] {{ font-weight: 600; }}
QLabel[t="sub"] {{ color: {sub}; }}
QLabel[t="mute"] {{ color: {mute}; font-size: 12px; }}
QLabel[t="cap"] {{ color: {mute}; font-size: 11px; font-weight: 600; }}
QLabel[t="num"] {{ font-size: 24px; font-weight: 600; }}
QLabel[t="mono"] {{ font-family: {mono}; font-size: 12px; color: {sub}; }}
QLabel[t="err"] {{ color: {err}; font-size: 12px; }}
QLabel[t="warn"] {{ color: {warn}; font-size: 12px; }}
QLabel[t="ok"] {{ color: {ok}; font-size: 12px; }}

QLabel[pill] {{ border-radius: 10px; padding: 0 9px; font-size: 12px; font-weight: 600; }}
QLabel[pill="ok"] {{ background: {ok_bg}; color: {ok}; }}
QLabel[pill="warn"] {{ background: {warn_bg}; color: {warn}; }}
QLabel[pill="err"] {{ background: {err_bg}; color: {err}; }}
QLabel[pill="accent"] {{ background: {accent}; color: {on}; }}
QLabel[pill="soft"] {{ background: {accent_bg}; color: {accent_text}; }}
QLabel[pill="plain"] {{ background: {raised}; color: {sub}; font-weight: 500; }}

QFrame[card="card"] {{ background: {card}; border: 1px solid {line}; border-radius: 12px; }}
QFrame[card="raised"] {{ background: {raised}; border: 0; border-radius: 10px; }}
QFrame[card="code"] {{ background: {bg}; border: 1px solid {line}; border-radius: 10px; }}
QFrame[card="strip"] {{ background: {selected}; border: 1px solid {line}; border-radius: 10px; }}
QFrame[card="drop"] {{ background: transparent; border: 2px dashed {line2}; border-radius: 12px; }}
QFrame[card="drop"][over="true"] {{ background: {accent_bg}; border: 2px dashed {accent}; }}
QFrame[card="drop"]:focus {{ border: 2px solid {accent}; }}
QFrame[tone="err"] {{ background: {err_bg}; border: 1px solid {err_bg}; border-radius: 10px; }}
QFrame[tone="warn"] {{ background: {warn_bg}; border: 1px solid {warn_bg}; border-radius: 10px; }}
QFrame[tone="info"] {{ background: {raised}; border: 1px solid {line}; border-radius: 10px; }}
QFrame[tone="ok"] {{ background: {ok_bg}; border: 1px solid {ok_bg}; border-radius: 10px; }}
QLabel[mark="true"] {{ background: {accent}; border-radius: 8px; }}
QFrame[sep="h"] {{ background: {line}; border: 0; min-height: 1px; max-height: 1px; }}
QFrame[sep="v"] {{ background: {line}; border: 0; min-width: 1px; max-width: 1px; }}

QPushButton {{ background: {raised}; color: {text}; border: 1px solid {line2};
  border-radius: 8px; padding: 6px 13px; min-height: 18px; font-weight: 500; }}
QPushButton:hover {{ background: {hover}; }}
QPushButton:pressed {{ background: {line}; }}
QPushButton:focus {{ border: 2px solid {accent}; padding: 5px 12px; }}
QPushButton:disabled {{ color: {mute}; background: transparent; border-color: {line}; }}
QPushButton[k="primary"] {{ background: {accent}; border-color: {accent}; color: {on};
  font-weight: 600; }}
QPushButton[k="primary"]:hover {{ background: {accent_hover}; border-color: {accent_hover}; }}
QPushButton[k="primary"]:pressed {{ background: {accent_pressed}; }}
QPushButton[k="primary"]:focus {{ border: 2px solid {text}; }}
QPushButton[k="primary"]:disabled {{ background: {hover}; border-color: {hover}; color: {mute}; }}
QPushButton[k="danger"] {{ background: {err_bg}; border-color: {err_bg}; color: {err}; }}
QPushButton[k="danger"]:hover {{ border-color: {err}; }}
QPushButton[k="danger"]:focus {{ border: 2px solid {err}; }}
QPushButton[k="danger"]:disabled {{ background: transparent; border-color: {line};
  color: {mute}; }}
QPushButton[k="ghost"] {{ background: transparent; border-color: transparent; color: {sub}; }}
QPushButton[k="ghost"]:hover {{ background: {hover}; color: {text}; }}
QPushButton[k="ghost"]:focus {{ border: 2px solid {accent}; }}
QPushButton[k="ghost"]:disabled {{ color: {mute}; border-color: transparent; }}
QPushButton[k="icon"] {{ background: transparent; border-color: transparent; padding: 6px; }}
QPushButton[k="icon"]:hover {{ background: {hover}; }}
QPushButton[k="icon"]:focus {{ border: 2px solid {accent}; padding: 5px; }}
QPushButton[k="tool"] {{ background: transparent; border-color: transparent; padding: 3px;
  min-height: 16px; border-radius: 6px; }}
QPushButton[k="tool"]:hover {{ background: {hover}; }}
QPushButton[k="tool"]:focus {{ border: 2px solid {accent}; padding: 2px; }}
QPushButton[k="tiny"] {{ background: transparent; border: 1px solid transparent;
  border-radius: 6px; padding: 1px 7px; min-height: 18px; color: {sub}; font-size: 12px; }}
QPushButton[k="tiny"]:hover {{ background: {hover}; color: {text}; }}
QPushButton[k="tiny"]:focus {{ border: 2px solid {accent}; padding: 0 6px; }}
QPushButton[k="tiny"]:disabled {{ color: {mute}; border-color: transparent; }}
QPushButton[k="link"] {{ background: transparent; border: 2px solid transparent;
  color: {accent_text}; padding: 1px 3px; min-height: 16px; border-radius: 5px;
  font-weight: 600; text-align: left; }}
QPushButton[k="link"]:hover {{ color: {text}; }}
QPushButton[k="link"]:focus {{ border: 2px solid {accent}; padding: 1px 3px; }}
QPushButton[k="line"] {{ background: transparent; border: 2px solid transparent;
  border-radius: 6px; padding: 0; min-height: 20px; }}
QPushButton[k="line"]:hover {{ background: {hover}; }}
QPushButton[k="line"]:focus {{ border: 2px solid {accent}; padding: 0; }}
QPushButton[k="nav"] {{ background: transparent; border-color: transparent; text-align: left;
  padding: 7px 9px; color: {sub}; }}
QPushButton[k="nav"]:hover {{ background: {hover}; color: {text}; }}
QPushButton[k="nav"]:checked {{ background: {selected}; color: {text}; font-weight: 600; }}
QPushButton[k="nav"]:focus {{ border: 2px solid {accent}; padding: 6px 8px; }}
QPushButton[k="seg"] {{ background: transparent; border: 1px solid transparent;
  border-radius: 6px; padding: 4px 13px; color: {sub}; }}
QPushButton[k="seg"]:hover {{ color: {text}; }}
QPushButton[k="seg"]:checked {{ background: {card}; color: {text}; font-weight: 600;
  border-color: {line2}; }}
QPushButton[k="seg"]:focus {{ border: 2px solid {accent}; padding: 3px 12px; }}
QPushButton[k="option"] {{ background: {card}; border: 1px solid {line}; border-radius: 12px;
  padding: 0; text-align: left; }}
QPushButton[k="option"]:hover {{ border-color: {line2}; background: {raised}; }}
QPushButton[k="option"]:checked {{ border: 2px solid {accent}; background: {accent_bg}; }}
QPushButton[k="option"]:focus {{ border: 2px solid {text}; padding: 0; }}
QPushButton[k="option"]:disabled {{ background: transparent; border-color: {line}; }}
QPushButton[k="chip"] {{ background: transparent; border: 1px solid {line2};
  border-radius: 14px; padding: 0 12px; min-height: 26px; max-height: 26px; color: {sub}; }}
QPushButton[k="chip"]:hover {{ background: {hover}; }}
QPushButton[k="chip"]:checked {{ background: {accent_bg}; color: {accent_text};
  border-color: {accent}; font-weight: 600; }}
QPushButton[k="chip"]:focus {{ border: 2px solid {text}; padding: 0 11px;
  min-height: 24px; max-height: 24px; }}
QPushButton[k="job"] {{ background: {selected}; border: 1px solid {line};
  border-radius: 10px; padding: 0; min-height: 74px; }}
QPushButton[k="job"]:hover {{ border-color: {line2}; background: {hover}; }}
QPushButton[k="job"]:focus {{ border: 2px solid {accent}; padding: 0; min-height: 72px; }}
QPushButton[k="step"] {{ background: transparent; border: 2px solid transparent;
  border-radius: 8px; padding: 3px 6px 3px 3px; }}
QPushButton[k="step"]:hover {{ background: {hover}; }}
QPushButton[k="step"]:focus {{ border: 2px solid {accent}; padding: 3px 6px 3px 3px; }}

QLineEdit, QComboBox, QAbstractSpinBox {{ background: {bg}; color: {text};
  border: 1px solid {line2}; border-radius: 8px; padding: 6px 9px; min-height: 18px;
  placeholder-text-color: {mute}; selection-background-color: {accent}; selection-color: {on}; }}
QLineEdit:hover, QComboBox:hover {{ border-color: {mute}; }}
QLineEdit:focus, QComboBox:focus {{ border: 2px solid {accent}; padding: 5px 8px; }}
QLineEdit:disabled, QComboBox:disabled {{ color: {mute}; background: transparent;
  border-color: {line}; }}
QLineEdit[problem="blocks"], QComboBox[problem="blocks"] {{ border-color: {err}; }}
QLineEdit[problem="warns"], QComboBox[problem="warns"] {{ border-color: {warn}; }}
QComboBox {{ padding-left: 11px; padding-right: 4px; }}
QComboBox:focus {{ padding-left: 10px; padding-right: 3px; }}
QComboBox::drop-down {{ border: 0; width: 26px; }}
QComboBox::down-arrow {{ image: none; width: 0; height: 0; }}
QComboBox QAbstractItemView {{ background: {card}; border: 1px solid {line2}; padding: 4px;
  selection-background-color: {hover}; selection-color: {text}; outline: 0; }}
QComboBox QAbstractItemView::item {{ min-height: 28px; padding: 0 8px; border-radius: 6px; }}

QPlainTextEdit, QTextEdit, QTextBrowser {{ background: {bg}; color: {text};
  border: 1px solid {line}; border-radius: 10px; padding: 8px;
  selection-background-color: {accent}; selection-color: {on}; }}
QPlainTextEdit:focus, QTextEdit:focus, QTextBrowser:focus {{ border: 2px solid {accent};
  padding: 7px; }}
QPlainTextEdit[bare="true"], QTextBrowser[bare="true"], QPlainTextEdit[bare="true"]:focus,
QTextBrowser[bare="true"]:focus {{ background: transparent; border: 0; border-radius: 0;
  padding: 0; }}
QPlainTextEdit[mono="true"], QTextBrowser[mono="true"] {{ font-family: {mono};
  font-size: 12px; color: {sub}; }}

QAbstractItemView {{ background: transparent; border: 0; gridline-color: transparent;
  selection-background-color: {hover}; selection-color: {text}; outline: 0; }}
QTableView, QListView, QTreeView {{ border: 2px solid transparent; border-radius: 8px; }}
QTableView:focus, QListView:focus, QTreeView:focus {{ border-color: {accent}; }}
QTableView::item {{ border: 0; border-bottom: 1px solid {line}; padding: 0 8px; }}
QTableView::item:selected {{ background: {hover}; color: {text}; }}
QListView::item {{ border-radius: 8px; padding: 4px 8px; }}
QListView::item:hover {{ background: {hover}; }}
QListView::item:selected {{ background: {hover}; color: {text}; }}
QHeaderView {{ background: transparent; border: 0; }}
QHeaderView::section {{ background: transparent; color: {mute}; border: 0;
  border-bottom: 1px solid {line}; padding: 7px 11px; font-size: 11px; font-weight: 600;
  text-align: left; }}
QTableCornerButton::section {{ background: transparent; border: 0; }}

QScrollArea {{ background: transparent; border: 0; }}
QScrollBar:vertical {{ background: transparent; width: 10px; margin: 2px; }}
QScrollBar:horizontal {{ background: transparent; height: 10px; margin: 2px; }}
QScrollBar::handle {{ background: {line2}; border-radius: 3px; }}
QScrollBar::handle:hover {{ background: {mute}; }}
QScrollBar::handle:vertical {{ min-height: 32px; }}
QScrollBar::handle:horizontal {{ min-width: 32px; }}
QScrollBar::add-line, QScrollBar::sub-line, QScrollBar::add-page, QScrollBar::sub-page {{
  background: none; width: 0; height: 0; }}

QMenu {{ background: {card}; border: 1px solid {line2}; border-radius: 8px; padding: 4px; }}
QMenu::item {{ padding: 6px 20px 6px 12px; border-radius: 6px; color: {text}; }}
QMenu::item:selected {{ background: {hover}; }}
QMenu::item:disabled {{ color: {mute}; }}
QMenu::separator {{ height: 1px; background: {line}; margin: 4px 8px; }}
QSplitter::handle {{ background: transparent; }}
QSlider::groove:horizontal {{ background: {line2}; height: 4px; border-radius: 2px; }}
QSlider::handle:horizontal {{ background: {accent}; width: 14px; height: 14px; margin: -5px 0;
  border-radius: 7px; }}
"""


def stylesheet(tokens: dict[str, str], mono: list[str]) -> str:
    """The application's stylesheet in the colours `tokens` (name -> #RRGGBB)."""
    families = ", ".join(f'"{family}"' for family in mono)
    return _TEMPLATE.format(**tokens, mono=families)
