"""Whom a partner's address may lead to: whatever its spelling, its name or its time of looking, nobody inside."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.partners.reach import OutOfReach, Reach, is_public

INSIDE = ("10.0.0.1", "127.0.0.1", "169.254.169.254", "172.16.5.4", "192.168.1.1", "100.64.0.1", "168.63.129.16")
FAR = "https://partner.example"


@dataclass
class Book:
    """Names that a test makes up. A name with several entries gets the next one at each look-up."""

    names: dict[str, list[Sequence[str]]] = field(default_factory=dict)

    async def look_up(self, name: str) -> Sequence[str]:
        entries = self.names.get(name, [()])
        return entries.pop(0) if len(entries) > 1 else entries[0]


async def reached(url: str, book: Book | None = None, allowed: str = "") -> tuple[str, ...]:
    reach = Reach(book or Book({"partner.example": [["93.184.216.34"]]}), (ip_network(allowed),) if allowed else ())
    return await reach.addresses(reach.read(url))


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example",
        "https://partner.example/",
        "https://partner.example/path?with=query&more",
        "https://PARTNER.example:443/",
        "https://partner.example:8443/hooks/~a",
        "https://93.184.216.34/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]/",
        "https://[2606:2800:220:1:248:1893:25c8:1946]:8443/x",
    ],
)
async def test_a_public_address_over_https_is_within_reach(url: str) -> None:
    assert await reached(url)


@pytest.mark.parametrize(
    "url",
    [
        # not https, or not an address at all
        "http://partner.example/",
        "ftp://partner.example/",
        "file:///etc/passwd",
        "gopher://partner.example/",
        "https:///x",
        "https:partner.example",
        "//partner.example/",
        "partner.example",
        "",
        "https://",
        "javascript:alert(1)",
        # somebody's name, a fragment, signs that parsers disagree about
        "https://user@partner.example/",
        "https://user:secret@partner.example/",
        "https://partner.example@127.0.0.1/",
        "https://127.0.0.1#@partner.example/",
        "https://127.0.0.1\\@partner.example/",
        "https://partner.example\\.evil.example/",
        "https://partner.example/#fragment",
        "https://partner.example/a b",
        "https://partner.example/\r\nHost: inside",
        "https://partner.example/\0",
        " https://partner.example/",
        "https://partner.example /",
        "https://pärtner.example/",
        "https://partner。example/",
        "https://①②⑦.⓪.⓪.①/",
        "https://%31%32%37.0.0.1/",
        "https://partner%2eexample/",
        # ports
        "https://partner.example:80/",
        "https://partner.example:22/",
        "https://partner.example:5432/",
        "https://partner.example:0/",
        "https://partner.example:65536/",
        "https://partner.example:-1/",
        "https://93.184.216.34:25/",
        # loopback in many spellings
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://0/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0x7F.1/",
        "https://017700000001/",
        "https://0177.0.0.1/",
        "https://127.0.0.01/",
        "https://127.0.0.1./",
        "https://127.000.000.001/",
        "https://0x/",
        "https://1.2.3.4.5/",
        "https://256.256.256.256/",
        "https://93.184.216.034/",
        "https://partner.example.1/",
        # inside, by number
        *(f"https://{address}/" for address in INSIDE),
        "https://192.0.0.192/",
        "https://198.18.0.1/",
        "https://224.0.0.1/",
        "https://255.255.255.255/",
        # IPv6: loopback, local, link-local, mapped, NAT64, 6to4, Teredo, documentation, with a zone
        "https://[::]/",
        "https://[::1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fd00:ec2::254]/",
        "https://[fc00::1]/",
        "https://[ff02::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:93.184.216.34]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[64:ff9b:1::a00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
        "https://[2001:db8::1]/",
        "https://[127.0.0.1]/",
        "https://[1.2.3.4/",
        # names that are none
        "https://a..example/",
        "https://.example/",
        "https://-a.example/",
        "https://partner.example./",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 130}example/",
        f"https://partner.example/{'a' * 2_000}",
        # names that nobody has
        "https://nobody.example/",
        "https://localhost/",
    ],
)
async def test_everything_else_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(OutOfReach) as why:
        await reached(url)
    assert str(why.value).endswith(".")


@pytest.mark.parametrize(
    "address", [*INSIDE, "::1", "fe80::1", "fe80::1%eth0", "::ffff:10.0.0.1", "64:ff9b::a00:1", "fd00::1"]
)
async def test_a_name_that_leads_inside_is_refused_even_if_it_leads_outside_as_well(address: str) -> None:
    for found in ([address], ["93.184.216.34", address], [address, "93.184.216.34"]):
        with pytest.raises(OutOfReach):
            await reached(FAR, Book({"partner.example": [found]}))


async def test_who_asks_about_a_name_inside_hears_the_same_as_about_a_name_that_nobody_has() -> None:
    heard = set()
    for found in ([], ["10.0.0.1"], ["not an address"]):
        with pytest.raises(OutOfReach) as why:
            await reached(FAR, Book({"partner.example": [found]}))
        heard.add(str(why.value))
    assert len(heard) == 1


async def test_a_name_is_judged_anew_each_time() -> None:
    book = Book({"partner.example": [["93.184.216.34"], ["127.0.0.1"]]})
    assert await reached(FAR, book) == ("93.184.216.34",)
    with pytest.raises(OutOfReach):
        await reached(FAR, book)


async def test_networks_that_are_allowed_may_be_reached_over_http_and_at_any_port_and_no_others() -> None:
    book = Book(
        {"next.door": [["127.0.0.1"]], "both.doors": [["127.0.0.1", "10.0.0.1"]], "far.example": [["93.184.216.34"]]}
    )
    for url in ("http://127.0.0.1:8080/", "http://next.door:1/", "https://next.door/", "https://far.example/"):
        assert await reached(url, book, "127.0.0.0/8"), url
    for url in (
        "http://10.0.0.1/",
        "https://10.0.0.1/",
        "http://both.doors/",
        "http://far.example/",
        "https://far.example:99/",
        "http://93.184.216.34/",
        "http://127.1/",
        "http://[::1]/",
    ):
        with pytest.raises(OutOfReach):
            await reached(url, book, "127.0.0.0/8")


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_whatever_is_called_public_is_an_ordinary_global_address(address: IPv4Address) -> None:
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast
    else:
        assert address not in ip_network("93.0.0.0/8")


@given(st.one_of(st.integers(0, 2**128 - 1), st.integers(0x2000 << 112, (0x4000 << 112) - 1)).map(IPv6Address))
def test_whatever_is_called_public_carries_no_other_address_inside(address: IPv6Address) -> None:
    if is_public(address):
        assert address.is_global
        assert address.ipv4_mapped is None
        assert address.sixtofour is None
        assert address.teredo is None


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{}", "0x{:x}", "0{:o}", "{:#010x}"]))
async def test_a_number_is_never_taken_for_a_host(number: int, spelling: str) -> None:
    with pytest.raises(OutOfReach):
        await reached(f"https://{spelling.format(number)}/", Book())


@given(
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4),
    st.sampled_from(["0x{:x}", "0{:o}", "{}", "0x{:X}"]),
    st.sampled_from(["", "."]),
)
async def test_dotted_numbers_lead_only_where_they_plainly_say(parts: list[int], spelling: str, end: str) -> None:
    host = ".".join(spelling.format(part) for part in parts) + end
    try:
        found = await reached(f"https://{host}/", Book())
    except OutOfReach:
        return
    assert found == (host,)
    assert is_public(ip_address(host))


@given(st.text(max_size=40), st.sampled_from(["https://", "http://", ""]))
async def test_no_text_at_all_leads_inside(text: str, scheme: str) -> None:
    book = Book({name: [["127.0.0.1"]] for name in ("localhost", "inside")})
    try:
        found = await reached(scheme + text, book)
    except OutOfReach:
        return
    assert all(is_public(ip_address(address)) for address in found)
