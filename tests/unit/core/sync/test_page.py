"""Parts of a plan's page: counts, the legend of the map, fields, and rows that are left out."""

from __future__ import annotations

import pytest

from airflow_provider.core.sync import page


def test_the_legend_has_the_kinds_that_occur_in_the_order_of_the_page() -> None:
    counts = {"update": 2, "create": 0, "moved": 1, "delete": 3}
    assert page.render_legend(counts) == (
        '<p><span class="chip moved">1 moved</span> <span class="chip update">2 changed</span>'
        ' <span class="chip delete">3 deleted</span> <span class="chip was">was here</span>'
        ' <span class="chip calm">stays</span></p>'
    )
    assert page.render_legend({"moved": 0}) == '<p> <span class="chip calm">stays</span></p>'
    assert page.render_chip("create") == '<span class="chip create">new</span>'


def test_cards_count_every_kind_that_is_given() -> None:
    cards = page.render_cards({"delete": 0, "create": 2}, unchanged=5, failed=1)
    assert cards == (
        '<div class="cards"><div class="create"><b>2</b>new</div><div class="delete"><b>0</b>deleted</div>'
        "<div><b>5</b>unchanged</div><div><b>1</b>left out</div></div>"
    )


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("a<b", "c&d", '<span class="old-value">a&lt;b</span> → <span class="new-value">c&amp;d</span>'),
        ("", "c", '<span class="new-value">c</span>'),
        ("a", "", '<span class="old-value">a</span> → nothing'),
    ],
)
def test_a_field_has_its_values_of_before_and_after(old: str, new: str, shown: str) -> None:
    assert page.render_fields([("<name>", old, new)]) == f"&lt;name&gt;: {shown}"


def test_the_fields_of_a_change_are_one_a_line() -> None:
    assert page.render_fields([("a", "", ""), ("b", "", "")]) == "a: nothing<br>b: nothing"
    assert page.render_fields([]) == ""


@pytest.mark.parametrize(
    ("key", "below"), [("<k>", '<br><span class="quiet">&lt;k&gt;</span>'), ("<n>", ""), ("", "")]
)
def test_a_name_has_its_key_below_it_unless_that_is_the_same(key: str, below: str) -> None:
    assert page.render_name("<n>", key) == f"<b>&lt;n&gt;</b>{below}"


def test_changes_are_numbered_in_a_table() -> None:
    assert "".join(page.render_changes(("What", "Which"), [("a", "b"), ("c", "d")], 2)) == (
        "<section><h2>All changes</h2><table><tr><th>#</th><th>What</th><th>Which</th></tr>"
        '<tr id="change-1"><td class="number">1</td><td>a</td><td>b</td></tr>'
        '<tr id="change-2"><td class="number">2</td><td>c</td><td>d</td></tr></table></section>'
    )


def test_a_page_without_changes_says_so() -> None:
    assert "".join(page.render_changes(("What",), [], 0)) == (
        "<section><h2>Nothing changes</h2><p>All is as the source wants it.</p></section>"
    )


def test_a_long_table_says_how_many_rows_it_lacks() -> None:
    def table(count: int) -> str:
        return "".join(page.render_changes(("What",), (("a",) for _ in range(count)), count))

    assert table(2000).endswith(
        '<tr id="change-2000"><td class="number">2000</td><td>a</td></tr></table></section>'
    )
    assert table(2001) == table(2000).replace(
        "</table>", "</table><p>And 1 more; the plan's JSON has all.</p>"
    )


def test_rows_that_are_left_out_have_all_of_their_reasons() -> None:
    failed = [
        {"row": "a.csv:3", "key": "<K>", "reasons": ["x is missing", "y < 1"]},
        {"row": 4, "key": "", "reasons": []},
    ]
    assert "".join(page.render_failures(failed)) == (
        "<section><h2>Rows left out</h2><table><tr><th>Row</th><th>Key</th><th>Why</th></tr>"
        "<tr><td>a.csv:3</td><td>&lt;K&gt;</td><td>x is missing<br>y &lt; 1</td></tr>"
        "<tr><td>4</td><td></td><td></td></tr></table></section>"
    )
    assert "".join(page.render_failures([])) == ""
    many = [{"row": row, "key": "", "reasons": []} for row in range(2001)]
    assert "".join(page.render_failures(many)).count("<tr><td>") == 2000
