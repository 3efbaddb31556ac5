from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.records import Document, Section, StudyRecord, Table
from reports.checklist import build as build_checklist
from reports.latex import escaped, latex
from reports.summary import build

EVIL = r"\input{/etc/passwd} & 50% of $x_1$ #3 ~ ^ {a} | <b> [c] \\ ± ≥ … “"
TABLE = Table(
    "final-x",
    "Final, in %",
    ("method_name", "n", "accuracy"),
    (("[a] & b", "30", "93.86 ± 0.23"), ("c_d", "5", "-")),
    "Mean ± sd.",
    strong=frozenset({1}),
)


def document(*tables: Table) -> Document:
    return Document("summary", "T", (Section("S", "", tables),))


def body(text: str) -> list[str]:
    """The rows between the last rules of the first table."""
    return text.partition("\\midrule\n")[2].partition("\\bottomrule")[0].strip().splitlines()


def test_a_table_has_rules_a_caption_and_a_label() -> None:
    text = latex(document(TABLE))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 1
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert r"\caption{\textbf{Final, in \%.} Mean $\pm$ sd.}\label{tab:final-x}" in text
    assert r"\begin{tabular}{@{}lrr@{}}" in text


def test_rows_are_escaped_and_only_strong_rows_are_bold() -> None:
    assert body(latex(document(TABLE))) == [
        r"{[}a] \& b & 30 & 93.86 $\pm$ 0.23 \\",
        r"\textbf{c\_\allowbreak{}d} & 5 & - \\",
    ]


def test_no_character_of_a_text_is_a_command() -> None:
    bare = escaped(EVIL)
    for known in (r"\\textbackslash\{\}", r"\\allowbreak\{\}", r"\\[a-z]+\{\}", r"\\[&%$#_{}]", r"\$\\?[a-z]+\$"):
        bare = re.sub(known, "", bare)
    bare = bare.replace("{[}", "").replace(r"$^2$", "")
    assert not set(bare) & set("\\&%$#_{}~^|<>")
    assert escaped("a\nb\t c") == "a b c"


def test_a_long_word_may_be_broken() -> None:
    assert escaped("ab" * 32).count(r"\allowbreak{}") == 7
    assert r"\allowbreak" not in escaped("93.78, 94.12 of an ordinary sentence")


def test_every_row_has_as_many_cells_as_the_layout_has_columns() -> None:
    texts = ("a text that is far too long for one line of a table", "x", "12", "another text of many, many words")
    text = latex(document(Table("t", "T", ("one", "two", "three", "four"), (texts, texts))))
    layout = re.search(r"\\begin\{tabular\}\{@\{\}(.*)@\{\}\}", text)
    assert layout is not None
    assert re.sub(r">\{\\raggedright\\arraybackslash\}p\{0\.\d\d\\linewidth\}", "p", layout[1]) == "plrp"
    assert all(row.count(" & ") == 3 for row in body(text))
    assert sum(float(share) for share in re.findall(r"p\{(0\.\d\d)", layout[1])) < 1


def test_a_long_table_runs_over_pages() -> None:
    text = latex(document(Table("t", "T", ("a",), tuple((str(row),) for row in range(31)))))
    assert r"\begin{longtable}" in text
    assert r"\begin{table}" not in text
    assert text.count(r"\endhead") == 1


def test_tables_without_rows_or_columns_are_left_to_their_csv() -> None:
    assert latex(document(Table("t", "T", (), (), data=({"v": 1},)))) == ""
    assert latex(document()) == ""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_every_table_of_the_reports_compiles(make_study: Callable[..., StudyRecord], tmp_path: Path) -> None:
    evil = Table("evil", EVIL, (EVIL, "n"), ((EVIL, "1"), (EVIL, "2")), EVIL, strong=frozenset({0}))
    study = make_study(ablation={"greed": [1]})
    parts = [latex(build(study)), latex(build_checklist(study)), latex(document(evil))]
    preamble = r"\documentclass{article}\usepackage[T1]{fontenc}"
    packages = r"\usepackage{textcomp,array,booktabs,longtable,graphicx}"
    paper = "\n".join([preamble, packages, r"\begin{document}", *parts, r"\end{document}"])
    (tmp_path / "paper.tex").write_text(paper, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "paper.pdf").stat().st_size > 10_000
