"""HTTP's Date: the time in the head of an answer.

Owns one line of it. Doesn't own the connection it came by. Source: RFC 9110, 5.6.7, of which the
two obsolete forms are not taken: no server of ours sends them.
"""

_FORM = b"???, 00 ??? 0000 00:00:00 GMT"  # ?: a letter, 0: a digit
_MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"
_DAYS = b"ThuFriSatSunMonTueWed"  # 1 January 1970 was a Thursday
_BEFORE_1970 = 719_469  # days, of a calendar whose year 0 begins on 1 March


# Date: Sun, 06 Nov 1994 08:49:37 GMT
def read(line: bytes) -> int:
    """Return the Unix time in a header's line, 0 unless it is a Date of the one form in use."""
    name, _, text = line.partition(b":")
    text = text.strip()
    if name.lower() != b"date" or len(text) != 29:
        return 0
    digits = b""
    for place, form in enumerate(_FORM):
        if form == 48:
            digits += text[place : place + 1]
        elif form not in (63, text[place]):
            return 0
    month = _MONTHS.find(text[8:11])
    if month % 3 or not digits.isdigit():
        return 0
    # years begin in March: then a leap day is the last of its year
    month = (month // 3 + 10) % 12
    year = int(digits[2:6]) - (month > 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5
    days += int(digits[:2]) - _BEFORE_1970
    seconds = 3600 * int(digits[6:8]) + 60 * int(digits[8:10]) + int(digits[10:])
    # the day of the week is as good as a checksum
    if days < 0 or _DAYS[days % 7 * 3 :][:3] != text[:3] or seconds > 86_400:
        return 0
    return 86_400 * days + seconds
