"""SQL is read as SQL: comments and literals change neither what a statement is nor what it names."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider.amigocloud.sql.lexer import tokens
from airflow_provider.amigocloud.sql.statement import Kind, Statement, parse_statement, read_query, read_write
from airflow_provider.errors import InputError
from tests.support.hypothesis_sizes import examples

QUERIES = {
    "SELECT 1": (),
    "select * from DATASET_2001": (2001,),
    'SELECT * FROM "dataset_2001"': (2001,),
    'SELECT * FROM public."dataset_2001" AS a': (2001,),
    "SELECT * FROM Public . Dataset_2001": (2001,),
    'SELECT * FROM "DATASET_2001"': (),
    "SELECT 'FROM dataset_2002' AS t, \"dataset_3\" FROM dataset_2001": (2001,),
    "SELECT dataset_2002 FROM dataset_2001": (2001,),
    "SELECT a.dataset_2002 FROM dataset_2001 AS a": (2001,),
    "SELECT 1 FROM dataset_2001 AS dataset_2002": (2001,),
    "SELECT 1 FROM dataset_2001 a, dataset_2002 b": (2001, 2002),
    "SELECT 1 FROM dataset_2001 a JOIN dataset_2002 b USING (dataset_5) , dataset_3": (3, 2001, 2002),
    "SELECT 1 FROM (dataset_2001 a JOIN ONLY dataset_2002 b ON a.x = b.x)": (2001, 2002),
    "SELECT 1 FROM (SELECT * FROM dataset_2001) AS x WHERE y IN (SELECT z FROM dataset_2002)": (2001, 2002),
    "SELECT extract(year FROM dataset_2002) FROM dataset_2001": (2001,),
    "SELECT a IS NOT DISTINCT FROM dataset_5 FROM dataset_2001": (2001,),
    "SELECT substring(a FROM dataset_5), trim(both FROM b) FROM dataset_2001": (2001,),
    "SELECT * FROM dataset_5(1), dataset_2001": (2001,),
    "SELECT * FROM dataset_02": (),
    "SELECT * FROM dataset_2001 FOR UPDATE": (2001,),
    "SELECT \"insert\", 'x''; DELETE FROM dataset_2002' FROM dataset_2001": (2001,),
    "SELECT E'it\\'s; DELETE' FROM dataset_2001": (2001,),
    "SELECT 'a\\' FROM dataset_2001 -- ' FROM dataset_2002": (2001,),
    "SELECT $$ it's; FROM dataset_2002 $$ FROM dataset_2001": (2001,),
    "SELECT $q$ $$ FROM dataset_2002 $$ $q$ FROM dataset_2001": (2001,),
    "SELECT U&'d\\0061t' || N'x' || B'1' FROM dataset_2001": (2001,),
    "SELECT a #>> '{b}' # 5 FROM dataset_2001": (2001,),
    "SELECT a$b$c, $1 FROM dataset_2001": (2001,),
    "VALUES (1), (2)": (),
    "TABLE dataset_2001": (2001,),
    "(SELECT 1 FROM dataset_2001) UNION ALL (TABLE dataset_2002)": (2001, 2002),
    "((SELECT 1 FROM dataset_2001))": (2001,),
    "WITH a AS (SELECT * FROM dataset_2001) SELECT * FROM a": (2001,),
    "WITH dataset_5 AS (SELECT * FROM dataset_2001) SELECT * FROM dataset_5": (2001,),
    "WITH dataset_5 AS (SELECT * FROM dataset_5) SELECT * FROM dataset_5": (5,),
    "WITH dataset_5 AS (SELECT 1) SELECT * FROM public.dataset_5": (5,),
    "WITH insert AS (SELECT 1 AS update) SELECT * FROM insert": (),
    "WITH RECURSIVE t (n) AS NOT MATERIALIZED (SELECT 1) SEARCH DEPTH FIRST BY n SET o, u AS "
    "(TABLE dataset_2001) SELECT * FROM t, u": (2001,),
    "SELECT * FROM json_to_record('{}') AS (insert text), dataset_2001": (2001,),
    "SELECT d.from, d.into, d.join, d.with FROM dataset_2001 d, dataset_2002 ORDER BY d.limit": (2001, 2002),
    "SELECT a AS table, b AS from, c AS into, d AS as FROM dataset_2001": (2001,),
    "SELECT update, f(x) update FROM dataset_2001": (2001,),
    "SELECT * FROM update, dataset_2001 delete, insert": (2001,),
    "SELECT * FROM (update JOIN (dataset_2001 CROSS JOIN delete) ON true)": (2001,),
    "SELECT (SELECT update FROM dataset_2001), (SELECT delete) FROM dataset_2002": (2001, 2002),
    "SELECT 1from dataset_2001 WHERE x > 1.5e3and y < .5": (2001,),
    'SELECT * FROM U&"\\0064ataset_2001", U&"\\+000064ataset_2002"': (2001, 2002),
    "WITH a AS (WITH dataset_5 AS (SELECT 1) TABLE dataset_5) SELECT * FROM a, dataset_5": (5,),
    "WITH RECURSIVE dataset_5 AS (SELECT 1 AS n UNION SELECT n FROM dataset_5) TABLE dataset_5": (),
    "SELECT * FROM (WITH dataset_5 AS (SELECT 1) SELECT * FROM dataset_5) AS q, dataset_2001": (2001,),
    "SELECT * FROM f() WITH ORDINALITY AS t (a, b), dataset_2001 FETCH FIRST 3 ROWS WITH TIES": (2001,),
}

REPORTS = ["EXPLAIN SELECT 1", "EXPLAIN (ANALYZE, COSTS off) SELECT 1", "EXPLAIN DELETE FROM dataset_1"]
REPORTS += ["explain analyze verbose select 1", "SHOW server_version", "EXPLAIN (SELECT 1)"]

WRITES = [
    "INSERT INTO dataset_1 (name) VALUES ('x')",
    "update dataset_1 SET name = 'SELECT'",
    "DELETE FROM dataset_1 RETURNING *",
    "MERGE INTO dataset_1 USING dataset_2 ON true WHEN MATCHED THEN UPDATE SET a = 1",
    "WITH a AS (SELECT 1) INSERT INTO dataset_1 SELECT * FROM a RETURNING *",
    "WITH a AS (SELECT 1) UPDATE dataset_1 SET x = 1",
    "WITH a AS (DELETE FROM dataset_1 RETURNING *) SELECT count(*) FROM a",
    "WITH a AS (SELECT 1), b AS MATERIALIZED (INSERT INTO dataset_1 DEFAULT VALUES RETURNING 1) TABLE b",
    "WITH a AS (WITH b AS (DELETE FROM dataset_1 RETURNING *) SELECT * FROM b) SELECT * FROM a",
    "SELECT * INTO dataset_9 FROM dataset_1",
    "EXPLAIN ANALYZE DELETE FROM dataset_1",
    "EXPLAIN (VERBOSE, ANALYZE) UPDATE dataset_1 SET x = 1",
    "INSERT INTO dataset_1 (a) SELECT d.select FROM dataset_2 d ON CONFLICT (a) DO UPDATE SET a = 1",
]

OTHER = ["CREATE TABLE x (a int)", "TRUNCATE dataset_1", "BEGIN", "SELEC 1", "()", "SELECT\u00a01"]

STATEMENTS = [*QUERIES, *REPORTS, *WRITES]


def words(statement: Statement) -> list[str]:
    return [token.text for token in tokens(statement.text) if token.kind != "blank"]


@pytest.mark.parametrize(("sql", "datasets"), QUERIES.items(), ids=QUERIES)
def test_a_query_and_its_datasets_are_recognised(sql, datasets):
    statement = read_query(sql)
    assert (statement.kind, statement.datasets) == (Kind.QUERY, datasets)
    with pytest.raises(InputError, match="the statement reads only"):
        read_write(sql)


@pytest.mark.parametrize("sql", REPORTS)
def test_a_report_reads(sql):
    assert read_query(sql).kind is Kind.REPORT


@pytest.mark.parametrize("sql", WRITES)
def test_a_statement_that_writes_is_no_query(sql):
    assert read_write(sql).kind is Kind.WRITE
    with pytest.raises(InputError, match="must be a query, but the statement writes"):
        read_query(sql)


@pytest.mark.parametrize("sql", OTHER)
def test_another_statement_is_no_query(sql):
    with pytest.raises(InputError, match="must be a query"):
        read_query(sql)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "it is empty"),
        (" \n;\t;", "it is empty"),
        ("\ufeff", "it is empty"),
        ("-- SELECT 1", "comments only"),
        ("/* SELECT 1 */ ;", "comments only"),
        ("SELECT 1; SELECT 2", "several statements"),
        ("SELECT 1; -- x\nDELETE FROM dataset_1", "several statements"),
        ("SELECT 1;/* ; */;x", "several statements"),
        ("SELECT 'a", "line 1: a text is not closed"),
        ("SELECT 1,\n'a''", "line 2: a text is not closed"),
        ("SELECT E'a\\'", "a text is not closed"),
        ('SELECT "a', "a name is not closed"),
        ("SELECT 1 /* /* */", "a comment is not closed"),
        ("SELECT $a$ 1 $b$", r"the text in \$a\$ is not closed"),
        ("SELECT (1", "a parenthesis is not closed"),
        ("SELECT 1) AS x, (SELECT 2", "a parenthesis is closed that was not opened"),
        (None, "as one text, not None"),
        (["SELECT 1"], "as one text, not"),
    ],
)
def test_what_is_no_single_statement_is_refused(sql, said):
    for read in (read_query, read_write):
        with pytest.raises(InputError, match=said):
            read(sql)


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("-- nightly\nSELECT 1", "SELECT 1"),
        ("\ufeffSELECT 1;", "SELECT 1"),
        ("\ufeff-- a\r\nSELECT 1 ; -- done", "SELECT 1"),
        ("SELECT 1;;\n/* ; */", "SELECT 1"),
        ("/* a /* b */ c */ SELECT/**/1", "SELECT 1"),
        ("SELECT '--', '/*', \"--\" -- '", "SELECT '--', '/*', \"--\""),
        ("SELECT 'a' -- continued\n'b'", "SELECT 'a' \n'b'"),
        (";SELECT 1", "SELECT 1"),
    ],
)
def test_the_text_to_send_has_no_comments_and_no_semicolon(sql, text):
    assert parse_statement(sql).text == text


@pytest.mark.parametrize(
    ("sql", "is_ordered"),
    [
        ("SELECT 1 ORDER BY 1", True),
        ("(SELECT 1 order /* x */ by 1)", True),
        ("SELECT 1 -- ORDER BY 1", False),
        ("SELECT 'ORDER BY'", False),
        ("SELECT * FROM (SELECT 1 ORDER BY 1) x", False),
        ("SELECT array_agg(a ORDER BY b) FROM c", False),
        ("WITH a AS (SELECT 1) SELECT * FROM a ORDER BY 1", True),
    ],
)
def test_an_order_of_the_rows_is_recognised(sql, is_ordered):
    assert parse_statement(sql).is_ordered is is_ordered


NOISE = st.sampled_from(
    [
        " ",
        "\n",
        "\t\r\n",
        "/**/",
        "/* ; DELETE FROM dataset_7 */",
        "/* it's /* nested; */ \"$$ */",
        "-- FROM dataset_8; ' \" $$ /*\n",
        "--\n",
    ]
)
LITERALS = st.sampled_from(
    [
        "'FROM dataset_7; DELETE FROM x'",
        "'it''s -- no comment'",
        "'/*'",
        "'\\'",
        "E'\\'; DELETE FROM dataset_7 --'",
        "$$'; DELETE FROM dataset_7$$",
        "$tag$ $$ ' $tag$",
        '"; DELETE FROM dataset_7"',
        '"a""b--"',
        "U&'\\0061'",
    ]
)


@settings(max_examples=examples(200))
@given(data=st.data(), sql=st.sampled_from(STATEMENTS))
def test_comments_anywhere_change_nothing(data, sql):
    pieces = [token.text for token in tokens(sql)]
    noisy = "".join(
        piece + "".join(data.draw(st.lists(NOISE, max_size=2), "noise"))
        for piece in [data.draw(st.sampled_from(["", "\ufeff", "\n"]), "start"), *pieces]
    )
    end = data.draw(st.sampled_from(["", ";", " ; -- done", ";\n/* ; */\n;"]), "end")
    plain, noisy_one = parse_statement(sql), parse_statement(noisy + end)
    assert words(noisy_one) == words(plain)
    assert noisy_one.kind is plain.kind
    assert noisy_one.datasets == plain.datasets
    assert noisy_one.is_ordered == plain.is_ordered


@settings(max_examples=examples(200))
@given(literals=st.lists(LITERALS, min_size=1, max_size=4), noise=NOISE, upper=st.booleans())
def test_literals_anywhere_change_nothing(literals, noise, upper):
    listed = f" ,{noise}".join(literals)
    table = "DATASET_2001" if upper else "dataset_2001"
    for sql, kind in (
        (f"SELECT {listed} FROM {table} WHERE x = {literals[0]}{noise}", Kind.QUERY),
        (f"{noise}WITH a AS (SELECT {listed}) SELECT * FROM a, {table}", Kind.QUERY),
        (f"UPDATE {table} SET x = {noise}{literals[0]}", Kind.WRITE),
        (f"WITH a AS (VALUES ({listed})) INSERT INTO {table} SELECT * FROM a", Kind.WRITE),
    ):
        statement = parse_statement(sql)
        assert (statement.kind, statement.datasets) == (kind, (2001,))


@pytest.mark.parametrize("word", ["select", "into", "from", "join", "update", "delete", "with", "table"])
@pytest.mark.parametrize("noise", ["", " ", "/* x */", "-- x\n"])
def test_a_keyword_after_a_dot_or_after_as_is_a_name(word, noise):
    for sql in (
        f"SELECT d.{noise}{word} FROM dataset_2001 d WHERE d{noise}.{word} = 1",
        f"SELECT 1 AS{noise or ' '}{word} FROM dataset_2001",
    ):
        statement = parse_statement(sql)
        assert (statement.kind, statement.datasets) == (Kind.QUERY, (2001,))


@settings(max_examples=examples(300))
@given(st.text(st.sampled_from("SELECT ;'\"$-*/\\()\nEedataset_1,.\ufeffUé"), max_size=40))
def test_any_text_is_read_or_refused(sql):
    try:
        statement = parse_statement(sql)
    except InputError:
        return
    assert words(parse_statement(statement.text)) == words(statement)


def test_a_long_statement_is_read_in_time():
    values = ", ".join(f"('it''s row {n}', $$ {n} $$, {n})" for n in range(20_000))
    assert parse_statement(f"INSERT INTO dataset_1 VALUES {values}").kind is Kind.WRITE
    parse_statement("SELECT " + "(" * 5000 + "1" + ")" * 5000)
    with pytest.raises(InputError):
        parse_statement("SELECT '" + "''" * 100_000)
