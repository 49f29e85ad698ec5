"""Which hosts a selector picks, and what is said about one that cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rota.domain.errors import InvalidInput, NotFound
from rota.domain.inventory import Group, Host
from rota.domain.selector import (
    All,
    And,
    Names,
    Not,
    Pattern,
    Pick,
    Picker,
    Selector,
    Term,
    format_selector,
    from_lines,
    group_circle,
    names,
    parse,
    require_known,
)

FLEET = (
    Host(name="db1", os="linux", tags={"env": "prod", "role": "db"}, site="hq", groups=frozenset({"db"})),
    Host(name="mac1", os="macos", tags={"env": "staging"}, site="lab"),
    Host(name="web1", os="linux", tags={"env": "prod"}, site="hq", groups=frozenset({"web", "edge"})),
    Host(name="web2", os="linux", tags={"env": "staging", "staging": ""}, groups=frozenset({"web"})),
)
GROUPS = (Group(name="web"), Group(name="db"), Group(name="edge"), Group(name="empty"))


def picked(text: str, hosts: tuple[Host, ...] = FLEET) -> str:
    return " ".join(Picker(hosts, GROUPS).pick(parse(text)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("all", "db1 mac1 web1 web2"),
        ("host:web1", "web1"),
        ("group:web", "web1 web2"),
        ("group:empty", ""),
        ("tag:env=prod", "db1 web1"),
        ("tag:env=production", ""),
        ("tag:staging", "web2"),
        ("tag:env", "db1 mac1 web1 web2"),
        ("tag:staging=", "web2"),
        ("site:hq", "db1 web1"),
        ("os:macos", "mac1"),
        ("~^web", "web1 web2"),
        ("~1", "db1 mac1 web1"),
        ("~^(web|db)[0-9]{1,3}$", "db1 web1 web2"),
        ("host:web1,host:db1", "db1 web1"),
        ("group:web&tag:env=prod", "web1"),
        ("!group:web", "db1 mac1"),
        (" group:web & ! host:web1 ", "web2"),
    ],
)
def test_each_word_picks_what_it_says(text: str, expected: str) -> None:
    assert picked(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "why"),
    [
        ("host:mac1,group:web&tag:env=prod", "mac1 web1", "& binds tighter than ,"),
        ("(host:mac1,group:web)&tag:env=staging", "mac1 web2", "brackets come first"),
        ("!group:web&os:linux", "db1", "! binds tighter than &"),
        ("!(group:web&os:linux)", "db1 mac1", "brackets come first"),
        ("group:web,!host:web1", "web2", "an exclusion takes away from the list"),
        ("!host:web1,group:web", "web2", "wherever it stands"),
        ("group:web,!host:web1,host:web1", "web2", "even from what is added after it"),
        ("!host:web1,!host:web2", "db1 mac1", "only exclusions: from all"),
        ("group:db,(!group:web)", "db1 mac1", "in brackets it adds what is not"),
        ("group:db,!group:web&os:macos", "db1 mac1", "an intersection is no exclusion"),
    ],
)
def test_precedence(text: str, expected: str, why: str) -> None:
    assert picked(text) == expected, why


def test_local_belongs_to_all_only_while_there_is_no_other_host() -> None:
    assert picked("all", ()) == "local"
    assert picked("all") == "db1 mac1 web1 web2"


def test_local_is_always_there_by_name() -> None:
    assert picked("host:local,host:web1") == "local web1"


def test_local_is_picked_by_what_was_said_about_it_and_not_by_what_it_happens_to_be() -> None:
    local = Host(name="local", os="linux", tags={"env": "prod"}, groups=frozenset({"web"}))
    hosts = (*FLEET, local)
    assert picked("tag:env=prod", hosts) == "db1 local web1"
    assert picked("group:web", hosts) == "local web1 web2"
    assert picked("os:linux", hosts) == "db1 web1 web2"
    assert picked("~loc", hosts) == ""
    assert picked("!group:db", hosts) == "mac1 web1 web2"


def test_a_disabled_host_is_left_out_unless_asked_for() -> None:
    hosts = (Host(name="web1", disabled=True), Host(name="web2"))
    assert Picker(hosts).pick(parse("all")) == ("web2",)
    assert Picker(hosts).pick(parse("host:web1")) == ()
    assert Picker(hosts).pick(parse("all"), include_disabled=True) == ("web1", "web2")


def test_a_group_that_does_not_exist_picks_nothing_whatever_a_host_says() -> None:
    assert Picker(FLEET, ()).pick(parse("group:web")) == ()


DYNAMIC = (
    *GROUPS,
    Group(name="prod", selector="tag:env=prod"),
    Group(name="prod-web", selector="group:prod & group:web"),
    Group(name="not-prod", selector="!group:prod"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("group:prod", "db1 web1"),
        ("group:prod-web", "web1"),
        ("group:not-prod", "mac1 web2"),
        ("group:not-prod,group:prod", "db1 mac1 web1 web2"),
        ("group:web,!group:prod-web", "web2"),
    ],
)
def test_a_dynamic_group_is_what_its_selector_picks(text: str, expected: str) -> None:
    assert " ".join(Picker(FLEET, DYNAMIC).pick(parse(text))) == expected


def test_a_host_cannot_say_that_it_is_in_a_dynamic_group() -> None:
    hosts = (*FLEET, Host(name="liar", groups=frozenset({"prod"})))
    assert Picker(hosts, DYNAMIC).pick(parse("group:prod")) == ("db1", "web1")


def test_a_dynamic_group_that_contains_itself_picks_nothing_and_says_why() -> None:
    circle = (Group(name="a", selector="tag:x,group:b"), Group(name="b", selector="!group:a"))
    with pytest.raises(InvalidInput, match="group b contains itself: b → a → b"):
        Picker(FLEET, circle).pick(parse("group:b"))


@pytest.mark.parametrize(
    ("name", "circle"),
    [("a", ("a", "b", "a")), ("b", ("b", "a", "b")), ("c", ()), ("web", ()), ("self", ("self",) * 2)],
)
def test_a_circle_of_groups_is_named_from_where_one_stands(name: str, circle: tuple[str, ...]) -> None:
    groups = [
        Group(name="a", selector="group:b,group:nosuch"),
        Group(name="b", selector="!(group:a & tag:x)"),
        Group(name="c", selector="group:a"),
        Group(name="self", selector="group:self"),
        Group(name="web"),
    ]
    assert group_circle(name, {group.name: group for group in groups}) == circle


def test_the_hosts_and_groups_that_are_named_are_told() -> None:
    selector = parse("host:a,group:b&!(host:c,tag:d),~e,!group:f")
    assert names(selector) == Names(hosts=frozenset({"a", "c"}), groups=frozenset({"b", "f"}))


def test_every_missing_host_and_group_is_named_at_once_with_near_names() -> None:
    selector = parse("host:wbe1,group:wbe,host:web1,host:nosuch")
    with pytest.raises(NotFound) as caught:
        require_known(selector, ["web1"], ["web"])
    assert [str(error).removeprefix("target: ") for error in caught.value.errors] == [
        "host nosuch does not exist",
        'host wbe1 does not exist; did you mean "web1"?',
        'group wbe does not exist; did you mean "web"?',
    ]


@pytest.mark.timeout(60)
def test_of_very_many_missing_hosts_the_first_are_named_and_the_rest_counted() -> None:
    selector = parse(",".join(f"host:a{number}" for number in range(5000)))
    with pytest.raises(NotFound) as caught:
        require_known(selector, [f"b{number}" for number in range(10_000)], [])
    assert len(caught.value.errors) == 51
    assert caught.value.errors[-1].message == "and 4950 more do not exist"


def test_local_is_known_without_being_in_the_inventory() -> None:
    require_known(parse("host:local"), [], [])


def faults(text: str) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    return [str(error) for error in caught.value.errors]


def test_every_unknown_word_is_named_at_once() -> None:
    told = faults("hots:a, web1, os:linx, colour:red, group:ok, tag:")
    assert len(told) == 5
    assert 'did you mean "host"?' in told[0]
    assert "did you mean host:web1?" in told[1]
    assert "one of linux macos windows" in told[2]
    assert 'unknown selector "colour:"' in told[3]
    assert '"tag:" is incomplete' in told[4]


def test_a_slip_of_grammar_does_not_hide_unknown_words_behind_it() -> None:
    assert len(faults("(host:a, colour:red")) == 2
    assert len(faults("host:a host:b, colour:red, ~(")) == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "something is missing at character 1"),
        ("host:a,", "something is missing at character 8"),
        ("host:a,,host:b", "something is missing at character 8"),
        ("&host:a", "something is missing at character 1"),
        ("!", "something is missing at character 2"),
        ("()", "something is missing at character 2"),
        ("!!host:a", '"!!" at character 1'),
        ("(host:a", '"(" at character 1 is not closed'),
        ("host:a)", '")" closes nothing at character 7'),
        ("host:a host:b", "nothing joins the words at character 8"),
        ("host:a(host:b)", "nothing joins the words at character 7"),
        ("all!host:b", "nothing joins the words at character 4"),
        ("host:-rf", "not beginning with a dash"),
        ("host:", '"host:" is incomplete'),
        ("host:a;b", "has a value that cannot be"),
        ("host:wéb", "has a value that cannot be"),
        ("tag:a b", "nothing joins"),
        ("ALL", "did you mean all?"),
        ("web*", '"web*" is not known'),
        ("@hosts.txt", "read by the command line only"),
        ("-", "read by the command line only"),
        ("~", "a pattern ~ is empty"),
        ("~web(", "is not a regular expression"),
        ("~(a+)+$", "may take for ever to match"),
        ("(" * 30 + "all" + ")" * 30, "at most 20 levels"),
        ("host:a," * 10_001 + "all", "more than 10000 terms"),
        ("a" * 300_000, "too long"),
    ],
)
def test_a_selector_that_cannot_be_read_says_where_and_why(text: str, told: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(text)
    assert told in str(caught.value)


def test_a_pattern_may_hold_the_characters_of_the_grammar_in_its_own_brackets() -> None:
    assert parse(r"(~^web(1|2)$,~[,&)]x{1,3}&~\,y)") == Pick(
        (Pattern("^web(1|2)$"), And((Pattern("[,&)]x{1,3}"), Pattern(r"\,y"))))
    )


def test_an_ipv6_address_may_be_a_name() -> None:
    assert parse("host:fe80::1") == Term("host", "fe80::1")


def test_lines_of_a_file_become_a_selector() -> None:
    lines = ["# the web", "", "web1  # first", "fe80::1\n", "group:db", "!host:db9", "all"]
    assert from_lines(lines) == "host:web1,host:fe80::1,group:db,!host:db9,all"


def test_a_file_that_names_no_host_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"hosts\.txt names no host"):
        from_lines(["# nothing", ""], source="hosts.txt")


LABELS = st.from_regex(r"[a-z0-9._:][a-z0-9._:-]{0,8}", fullmatch=True)
TERMS: st.SearchStrategy[Selector] = st.one_of(
    st.just(All()),
    st.builds(Term, st.sampled_from(["host", "group", "site"]), LABELS),
    st.builds(Term, st.just("tag"), st.from_regex(r"[a-z][a-z/-]{0,5}(=[a-z@+:]{0,5})?", fullmatch=True)),
    st.builds(Term, st.just("os"), st.sampled_from(["linux", "macos", "windows"])),
    st.builds(Pattern, st.sampled_from([r"^web", r"a(b|c)[0-9]+$", r"\,x", r"[,&()]", r"x{1,3}", "!", "a!b"])),
)


def composed(parts: st.SearchStrategy[Selector]) -> st.SearchStrategy[Selector]:
    several = st.lists(parts, min_size=2, max_size=4).map(tuple)
    some = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Not, parts),
        st.builds(And, several),
        st.builds(Pick, several),
        st.builds(Pick, some, some),
        st.builds(Pick, st.just(()), several),
    )


SELECTORS = st.recursive(TERMS, composed, max_leaves=12)


@given(SELECTORS)
def test_what_is_written_is_read_back_the_same(selector: Selector) -> None:
    assert parse(format_selector(selector)) == selector


@given(SELECTORS, SELECTORS)
def test_the_operators_are_those_of_sets(one: Selector, other: Selector) -> None:
    def chosen(selector: Selector) -> set[str]:
        return set(Picker(FLEET, GROUPS).pick(selector))

    assert chosen(And((one, other))) == chosen(one) & chosen(other)
    assert chosen(Pick((one, other))) == chosen(one) | chosen(other)
    assert chosen(Pick((one,), (other,))) == chosen(one) - chosen(other)
    assert chosen(Not(one)) == chosen(All()) - chosen(one)


@given(st.text(alphabet="ab:,&!()~ []{}\\*+?|^$@-#.=", max_size=40))
def test_no_text_does_anything_but_parse_or_be_refused(text: str) -> None:
    try:
        selector = parse(text)
    except InvalidInput:
        return
    assert parse(format_selector(selector)) == selector
