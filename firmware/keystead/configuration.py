"""The configuration: what differs from site to site, checked member by member.

Owns names, types and ranges of config.json, which docs/configuration.md tells the user; those of
Ethernet and modems are in keystead.uplinks. Reads no file. No message shows a value: it may be a
password.
"""

from keystead.failure import Failure

_KINDS = "ethernet|wifi|cellular"  # in the order of preference where none is given
_LEVELS = "debug|info|warning|error"
# NAME=RULE of every member. A rule: {NAME:RULE,... an object, { any object, [ a list of what
# follows, a|b one of these texts, 0-54 a whole number, b1-32 a text of so many bytes, * anything.
# A member with ! behind its name must be there.
_RULES = (
    "wifi=[{ssid!:b1-32,password:b8-63 ethernet=* cellular=* ntp=* payload={ app=* "
    "journal={bytes:16384-16777216,days:1-3650 spread=0-86400 order=[" + _KINDS + " log=" + _LEVELS
)


class Settings:
    """A configuration that can be used.

    links: (kind, what config.json says of it) in order of preference. ntp: hosts. journal:
    (bytes, seconds) or None. log: 0 for debug to 3 for error. payload: for DPS, or None. spread:
    seconds a first boot may wait. app: the application's own, as it was written. problem: why
    the file on the board was not taken. It has no function: one would keep this whole module in
    a board's heap.
    """

    links: "list[tuple[str, object]]"
    ntp: "list[object]"
    journal: "tuple[int, int] | None" = None
    log: int
    payload: object
    spread: int
    app: object
    problem = ""


def read(document: object) -> Settings:
    """Return the settings of what a JSON parser made of config.json. Raises Failure."""
    members = fields(document, "", _RULES, " ", "=")
    get = members.get
    settings = Settings()
    settings.links = _links(members)
    settings.ntp = _hosts(get("ntp", ""))
    limits = get("journal")
    if limits is not None:
        settings.journal = limits.get("bytes", 65536), limits.get("days", 7) * 86400
    settings.log = _LEVELS.split("|").index(get("log", "info"))
    settings.payload = get("payload")
    settings.spread = get("spread", 60)
    settings.app = get("app")
    return settings


def _links(members: dict) -> list[tuple[str, object]]:  # type: ignore[type-arg]
    links = []
    for kind in members.get("order", _KINDS.split("|")):
        if kind in members:
            link = members[kind]
            if kind != "wifi":
                from keystead.uplinks import rules

                fields(link, kind + ".", rules(kind, link))
            links.append((kind, link))
    if not links:
        raise Failure("network-unset", "config.json names no network")
    return links


def _hosts(value: object) -> list[object]:
    hosts = value if isinstance(value, list) else [value]
    if value == "":
        hosts.clear()
    for host in hosts:
        _check(host, "ntp.", "b1-253")
    return hosts


def fields(value: object, path: str, rules: str, between: str = ",", then: str = ":") -> dict:  # type: ignore[type-arg]
    """Return value if it is an object of which rules are true. path: its place, a dot behind."""
    if not isinstance(value, dict):
        raise _wrong(path, "not an object")
    table = dict([row.split(then) for row in rules.split(between) if row])
    for name in value:
        if table and name not in table and "%s!" % name not in table:
            raise _wrong(path + "%s." % name, "unknown")
    for name, rule in table.items():
        must = name[-1] == "!"
        name = name.rstrip("!")
        if name not in value:
            if must:
                raise _wrong(path + name + ".", "missing")
        elif must or rule[0] != "b" or value[name] != "":  # an empty text is as good as none
            _check(value[name], path + name + ".", rule)
    return value


def _check(value: object, path: str, rule: str) -> None:
    kind = rule[0]
    if kind == "{":
        fields(value, path, rule[1:])
    elif kind == "[":
        if not isinstance(value, list) or not value:
            raise _wrong(path, "not a list with an entry")
        for i in range(len(value)):
            _check(value[i], "%s[%d]." % (path[:-1], i), rule[1:])
    elif "|" in rule:
        if value not in rule.split("|"):
            raise _wrong(path, "not " + rule)
    elif kind != "*":
        what = "not a whole number of %s"
        if kind == "b":
            what = "not a text of %s bytes"
            rule = rule[1:]
            value = len(value.encode("utf-8", "replace")) if isinstance(value, str) else ""
        least, most = rule.split("-")
        # isinstance() takes true for a number on CPython
        if type(value) is not int or not int(least) <= value <= int(most):
            raise _wrong(path, what % rule)


def _wrong(path: str, what: str) -> Failure:
    return Failure("config-invalid", "config.json: %s is %s" % (path[:-1] or "it", what))
