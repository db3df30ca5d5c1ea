"""Lists of boards: a range of serials or a CSV as factories send it; every bad row is told."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import id_list
from host_tools.batch import (
    BadRow,
    BadRows,
    Batch,
    Columns,
    Unit,
    units_from_csv,
    units_from_range,
)
from host_tools.errors import CommandError
from keystead.registration_id import TEMPLATE, InvalidRegistrationID, check, render

MAC = "a0:b1:c2:d3:e4:f5"
RAW = bytes.fromhex("a0b1c2d3e4f5")


def units(text, template=TEMPLATE, wide=False, **columns):
    return units_from_csv(io.StringIO(text), template, wide, Columns(**columns))


def bad(text, template=TEMPLATE, wide=False):
    """Return the lines that are refused and why."""
    with pytest.raises(BadRows) as error:
        units(text, template, wide)
    return {row.line: row.problem for row in error.value.rows}


def refusal(text, template=TEMPLATE, **columns):
    with pytest.raises(CommandError) as error:
        units(text, template, **columns)
    assert not isinstance(error.value, BadRows)
    return str(error.value)


def test_a_range_keeps_its_width_and_its_letters():
    found = units_from_range("sn-0098-x..sn-0101-x")
    assert [one.serial for one in found] == ["sn-0098-x", "sn-0099-x", "sn-0100-x", "sn-0101-x"]
    assert [one.line for one in found] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "first", "last", "count"),
    [
        ("8..11", "8", "11", 4),
        ("0..10", "0", "10", 11),
        ("a1b007..a1b010", "a1b007", "a1b010", 4),
        ("a1b2..a3b2", "a1b2", "a3b2", 3),
        ("sn-0001..0003", "sn-0001", "sn-0003", 3),
        ("7..7", "7", "7", 1),
    ],
)
def test_what_counts_up_is_the_number_that_differs(text, first, last, count):
    found = units_from_range(text)
    assert (found[0].serial, found[-1].serial, len(found)) == (first, last, count)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("sn-0001", "write e.g. sn-0001..sn-9999"),
        ("..9", "write e.g."),
        ("a..b", "differ in more than a number"),
        ("a..a", "has no number"),
        ("a1..b9", "differ in more than a number"),
        ("1-1..2-2", "differ in more than one number"),
        ("9..1", "the last number is below the first"),
        ("001..1000", "the same count of digits"),
        ("1..99999999", "is a digit too many?"),
        ("SN-1..SN-2", "capitals are not allowed"),
        ("{mac}-1..{mac}-2", "has braces"),
    ],
)
def test_a_range_that_can_not_be_right_is_told(text, fault):
    with pytest.raises(CommandError) as error:
        units_from_range(text)
    assert fault in str(error.value)


def test_a_template_that_names_all_boards_alike_is_told():
    for template in ("board", "{name}", "sn-{serial}-{"):
        with pytest.raises(CommandError, match="template"):
            units_from_range("1..2", template)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("apart", [",", ";", "\t", "|"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_columns_may_stand_anyhow(end, apart, mark):
    rows = [
        ["Colour", "MAC address", "Serial-Number", "registration_id"],
        ["red", MAC, "1", ""],
        ["", "", "", ""],
        [""],
        ["blue, light; dark", "", " 2 ", "own-2"],
    ]
    text = io.StringIO()
    csv.writer(text, delimiter=apart, lineterminator=end).writerows(rows)
    assert units(mark + text.getvalue()) == [
        Unit("1", RAW, None, {"Colour": "red"}, 2),
        Unit("2", None, "own-2", {"Colour": "blue, light; dark"}, 5),
    ]


def test_lines_count_as_in_an_editor_even_where_a_field_has_several():
    found = units('serial,note\n1,"two\nlines"\n2,\n')
    assert [(one.serial, one.line) for one in found] == [("1", 2), ("2", 4)]
    assert "line 2" in bad('serial,note\n1,"two\nlines"\n1,\n')[4]


def test_excels_line_for_the_separator_is_passed_over():
    assert units("sep=;\nserial;note\n1;a,b\n")[0] == Unit("1", None, None, {"note": "a,b"}, 3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_is_read_as_excel_writes_it(tmp_path, encoding):
    file = tmp_path / "boards.csv"
    file.write_text("serial;note\r\n1;grün\r\n", encoding=encoding, newline="")
    assert units_from_csv(file) == [Unit("1", None, None, {"note": "grün"}, 2)]


@pytest.mark.parametrize("raw", [b"serial,note\n1,gr\xfcn\n", b"\xff\xfes\0e\0r", b"\0\0\0\0"])
def test_a_file_that_is_no_csv_is_told(tmp_path, raw):
    file = tmp_path / "boards.csv"
    file.write_bytes(raw)
    with pytest.raises(CommandError, match=r"line \d+ is not UTF|its first line must name"):
        units_from_csv(file)
    with pytest.raises(CommandError, match="No such file"):
        units_from_csv(tmp_path / "none.csv")


def test_a_list_by_registration_id_or_by_mac_alone_will_do():
    assert units("registration_id\nsn-1\n") == [Unit("sn-1", None, "sn-1", {}, 2)]
    assert units(f"mac\n{MAC}\n", "board-{mac}") == [Unit(RAW.hex(), RAW, None, {}, 2)]


def test_serials_may_be_called_otherwise():
    found = units("serial,Batch no\nx,1\n", serial="batch NO")
    assert found == [Unit("1", None, None, {"serial": "x"}, 2)]
    assert "must name a column other" in refusal("serial\n1\n", serial="other")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty: its first line names the columns"),
        ("\n\n", "is empty"),
        ("serial,mac\n", "has no boards below its head"),
        ("1,2\n3,4\n", "must name a column serial or registration_id"),
        ("mac\n" + MAC, "must name a column serial"),
        ("serial,sn\n1,2\n", "two columns are a serial: serial, sn"),
        ('"serial\n1\n', "its quotes are not closed"),
    ],
)
def test_what_is_no_list_at_all_is_one_line(text, fault):
    assert fault in refusal(text)


def test_every_bad_row_is_told_with_its_line():
    text = "\n".join(
        [
            "serial,mac,registration_id",
            f"1,{MAC},",
            "1,,",  # 3
            f"2,{MAC.upper()},",  # 4
            "3,a0:b1:c2:d3:e4,",  # 5
            "4,FF:FF:FF:FF:FF:FF,",
            "5,00-00-00-00-00-00,",
            ",,",
            "A5,,",  # 9
            "6,",
            "7,,,",
            f"8,,sn-1-mac-{RAW.hex('-')}",  # 12
            "9,,No",
            f"{'9' * 129},,",
            "1\x07,,",
            " ,a0:b1:c2:d3:e4:f6,",
        ]
    )
    found = bad(text)
    for line, fault in {
        3: "serial 1 is on line 2 already",
        4: f"MAC {MAC} is on line 2 already",
        5: "write six bytes in hex",
        6: "is no board's",
        7: "is no board's",
        9: "registration ID 'sn-A5-mac-{mac}': character 'A' at place 4: capitals",
        10: "has 2 fields, the head has 3",
        11: "has 4 fields, the head has 3",
        12: f"registration ID sn-1-mac-{RAW.hex('-')} is on line 2 already",
        13: "character 'N' at place 1",
        14: "the serial has 129 characters",
        15: "can not be printed",
        16: "the serial is empty",
    }.items():
        assert fault in found.pop(line)
    assert found == {}  # line 8 is empty


def test_a_row_that_can_not_be_told_from_the_next_ends_the_list():
    assert bad('serial\n1\n"2\n3\n') == {
        3: "its quotes are not closed as they should be (unexpected end of data)"
    }


def test_a_field_that_does_not_end_is_not_said_to_be_anything_else():
    assert bad('serial,note\n1,\n2,"' + "x" * 200_000 + '"\n') == {
        3: "a field has more than 131072 characters: is a quote not closed?"
    }


def test_three_bad_rows_among_a_hundred_thousand_are_told():
    rows = [f"{number},a0b1{number:08x}" for number in range(100_000)]
    rows[499], rows[77_776], rows[99_998] = "Bad,", "499x!,", "5,a0b100000003"
    with pytest.raises(BadRows) as error:
        units("serial,mac\n" + "\n".join(rows))
    assert [row.line for row in error.value.rows] == [501, 77_778, 100_000]
    assert str(error.value).startswith("stdin: line 501: registration ID 'sn-Bad-mac-{mac}'")
    assert str(error.value).endswith("(and 2 more)")
    assert error.value.rows[2] == BadRow(100_000, "serial 5 is on line 7 already")


def test_what_is_checked_is_what_the_batch_makes():
    batch = Batch("b", "ESP32_GENERIC", "0ne1")
    first, second = units(f"serial,mac,registration_id\n1,{MAC},\n2,,own\n")
    assert batch.registration_id(first, RAW) == render(TEMPLATE, "1", RAW)
    assert batch.registration_id(second, RAW) == "own"


LETTERS = "aZ9-._: \n\u00e9\x00"


@given(st.text(LETTERS, max_size=6) | st.integers(126, 131).map("a".__mul__), st.booleans())
def test_the_fast_rule_is_the_portable_one(name, wide):
    try:
        wanted = check(name, wide)
    except InvalidRegistrationID as error:
        with pytest.raises(InvalidRegistrationID) as found:
            id_list.ensure(name, wide)
        assert str(found.value) == str(error)
        wanted = None
    else:
        assert id_list.ensure(name, wide) == name
    if "\n" not in name:
        assert id_list.good(f"a\n{name}\nb".encode(), wide) == (wanted is not None)


@given(
    st.lists(st.text(LETTERS.replace("\n", ""), max_size=3), min_size=1, max_size=5),
    st.booleans(),
)
def test_a_block_is_good_if_each_of_its_names_is(names, wide):
    def good(name):
        try:
            return bool(check(name, wide))
        except InvalidRegistrationID:
            return False

    assert id_list.good("\n".join(names).encode(), wide) == all(map(good, names))


@given(st.text('serialmacregistration_id,;\t|"\r\n0123456789:- aA\ufeff', max_size=80))
def test_any_text_is_a_list_or_a_refusal(text):
    try:
        found = units(text)
    except CommandError:
        return
    assert len({one.serial for one in found}) == len(found) > 0


@given(
    st.integers(0, 10**6), st.integers(0, 50), st.integers(1, 8), st.sampled_from(["", "a-", "x"])
)
def test_a_range_gives_as_many_as_it_says(first, more, width, letters):
    last = first + more
    if len(str(last)) > width and len(str(first)) < width:
        width = 1  # then it is written without zeros
    text = f"{letters}{first:0{width}}..{letters}{last:0{width}}"
    found = [one.serial for one in units_from_range(text, "d{serial}")]
    assert len(set(found)) == len(found) == more + 1
    assert (found[0], found[-1]) == tuple(text.split(".."))
