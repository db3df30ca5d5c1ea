"""Finding this machine's Debian mirror in its apt sources."""

from host_tools.toolchain import sources
from host_tools.toolchain.sources import Source

MAIN = Source("http://mirror.example/debian", ("bookworm",), ("main",))

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

DEB822 = f"""\
# written by the installer
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
# a comment in the middle
Components: main contrib
Signed-By: {KEYRING}

Types: deb
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main
Signed-By: {KEYRING}
"""


def test_a_one_line_source_is_read():
    (found,) = sources.one_line("deb http://mirror.example/debian bookworm main contrib\n")
    assert (found.uri, found.suites) == ("http://mirror.example/debian", ("bookworm",))
    assert found.components == ("main", "contrib")


def test_options_in_brackets_are_kept_when_they_concern_trust():
    line = "deb [ arch=amd64 signed-by=/a.gpg,/b.gpg trusted=yes ] http://m.example/d sid main # c"
    (found,) = sources.one_line(line)
    assert (found.signed_by, found.trusted) == ("/a.gpg /b.gpg", "yes")
    assert found.components == ("main",)


def test_comments_sources_and_discs_are_no_mirrors():
    text = """
# deb http://mirror.example/debian bookworm main
deb-src http://mirror.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 12 _Bookworm_]/ bookworm main
"""
    assert list(sources.one_line(text)) == []


def test_deb822_paragraphs_are_read_with_their_keyring():
    main, security = sources.deb822(DEB822)
    assert main.suites == ("bookworm", "bookworm-updates")
    assert main.signed_by == KEYRING
    assert security.uri.endswith("debian-security")


def test_a_disabled_paragraph_is_left_out():
    assert (
        list(sources.deb822(DEB822.replace("Types: deb\n", "Types: deb\nEnabled: no\n")))[1:] == []
    )


def test_a_key_written_into_the_source_goes_along_line_by_line():
    text = "Types: deb\nURIs: u:/\nSuites: sid\nComponents: main\nSigned-By:\n BEGIN\n .\n END\n"
    (found,) = sources.deb822(text)
    assert "Signed-By: \n BEGIN\n .\n END\n" in found.stanza("trixie", ["amd64"])


def test_each_address_of_a_paragraph_is_a_source():
    text = "Types: deb\nURIs: http://a.example/ http://b.example/\nSuites: sid\nComponents: main\n"
    assert [found.uri for found in sources.deb822(text)] == [
        "http://a.example/",
        "http://b.example/",
    ]


def test_both_formats_of_a_machine_are_read(tmp_path):
    parts = tmp_path / "sources.list.d"
    parts.mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example/debian bookworm main\n")
    (parts / "debian.sources").write_text(DEB822)
    (parts / "old.list.save").write_text("deb http://saved.example/debian bookworm main\n")
    found = [source.uri for source in sources.read(tmp_path)]
    assert found[:2] == ["http://one.example/debian", "http://mirror.example/debian"]
    assert len(found) == 3


def test_a_machine_without_sources_has_none(tmp_path):
    assert sources.read(tmp_path) == []


def test_the_mirror_is_not_the_security_archive():
    found = list(sources.deb822(DEB822))
    assert sources.mirror(reversed(found), "bookworm") == found[0]


def test_the_mirror_is_not_another_vendor_with_debians_suite_names():
    vendor = Source("http://vendor.example", ("bookworm",), ("main",), "/vendor.gpg")
    assert sources.mirror([vendor, MAIN], "bookworm") == MAIN


def test_a_company_mirror_with_its_own_key_is_known_by_its_updates():
    vendor = Source("http://vendor.example", ("bookworm",), ("main",), "/vendor.gpg")
    company = Source(
        "http://company.example", ("bookworm", "bookworm-updates"), ("main",), "/company.gpg"
    )
    assert sources.mirror([vendor, company], "bookworm") == company


def test_a_mirror_that_follows_stable_will_do():
    stable = Source("http://mirror.example/debian", ("stable",), ("main",))
    assert sources.mirror([stable], "trixie") == stable


def test_without_debians_archive_there_is_no_mirror():
    vendor = Source("http://vendor.example", ("nodistro",), ("main",))
    assert sources.mirror([vendor], "bookworm") is None


def test_the_private_source_asks_for_another_suite_and_package_lists_only():
    text = MAIN.stanza("trixie", ["amd64", "i386"])
    assert "Suites: trixie\n" in text
    assert "Architectures: amd64 i386\n" in text
    assert "Targets: Packages\n" in text
    assert "Signed-By" not in text
