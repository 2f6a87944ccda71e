//! Each operator: what it accepts, what it rejects, and values of other kinds.

use super::{all, check, one};

const OTHER_KINDS: [&str; 6] = ["5", "true", "null", "{}", "[]", r#"{"a":"abc"}"#];

#[test]
fn prefix_and_suffix() {
    all(
        r#"{"prefix":"ab"}"#,
        &[r#""ab""#, r#""abc""#],
        &[r#""a""#, r#""Ab""#, r#""xab""#, r#""""#],
    );
    all(r#"{"suffix":"ab"}"#, &[r#""ab""#, r#""cab""#], &[r#""b""#, r#""aB""#, r#""abx""#]);
    all(r#"{"prefix":"ab"}"#, &[], &OTHER_KINDS);
    all(r#"{"suffix":"ab"}"#, &[], &OTHER_KINDS);
    all(r#"{"prefix":""}"#, &[r#""""#, r#""a""#], &["5", "null", "[]", "{}"]);
    all(r#"{"suffix":"é"}"#, &[r#""café""#], &[r#""cafe""#, r#""cafe\u0301""#]);
    one(r#"{"prefix":"5"}"#, "55", false);
}

#[test]
fn equals_ignore_case_folds_one_code_point_to_one() {
    all(
        r#"{"equals-ignore-case":"ÄbC"}"#,
        &[r#""äbc""#, r#""ÄBC""#],
        &[r#""abc""#, r#""äb""#, r#""äbcd""#],
    );
    all(r#"{"equals-ignore-case":"ΟΔΟΣ"}"#, &[r#""οδος""#, r#""οδοσ""#], &[r#""οδο""#]);
    all(r#"{"equals-ignore-case":"straße"}"#, &[r#""STRAßE""#], &[r#""STRASSE""#]);
    all(r#"{"equals-ignore-case":"I"}"#, &[r#""i""#], &[r#""ı""#, r#""İ""#]);
    all(r#"{"equals-ignore-case":"ab"}"#, &[], &OTHER_KINDS);
}

#[test]
fn prefix_and_suffix_can_ignore_case() {
    let prefix = r#"{"prefix":{"equals-ignore-case":"EventB"}}"#;
    all(prefix, &[r#""eventbridge""#, r#""EVENTB""#], &[r#""event""#, r#""xeventb""#, "5", "null"]);
    let suffix = r#"{"suffix":{"equals-ignore-case":".PnG"}}"#;
    all(suffix, &[r#""a.png""#, r#"".PNG""#], &[r#""png""#, r#""a.png ""#, "5", "null"]);
}

#[test]
fn wildcard() {
    all(r#"{"wildcard":"a*b"}"#, &[r#""ab""#, r#""axxb""#, r#""abb""#], &[r#""a""#, r#""abx""#]);
    all(r#"{"wildcard":"*"}"#, &[r#""""#, r#""a""#], &OTHER_KINDS);
    all(r#"{"wildcard":"abc"}"#, &[r#""abc""#], &[r#""ab""#, r#""abcd""#, r#""""#]);
    all(r#"{"wildcard":""}"#, &[r#""""#], &[r#""a""#]);
    all(r#"{"wildcard":"*.log"}"#, &[r#"".log""#, r#""a.log""#], &[r#""a.logs""#]);
    all(r#"{"wildcard":"a*bc*c"}"#, &[r#""abcc""#, r#""abcbcc""#], &[r#""abc""#, r#""abccd""#]);
    all(r#"{"wildcard":"ab*ba"}"#, &[r#""abba""#], &[r#""aba""#]);
    all(r#"{"wildcard":"é*😀*"}"#, &[r#""éx😀""#, r#""é😀😀""#], &[r#""é""#]);
}

#[test]
fn wildcard_escapes_stars_and_backslashes() {
    all(r#"{"wildcard":"a\\*b"}"#, &[r#""a*b""#], &[r#""ab""#, r#""axb""#, r#""a\\*b""#]);
    all(r#"{"wildcard":"a\\\\*b"}"#, &[r#""a\\b""#, r#""a\\xb""#], &[r#""a*b""#]);
    all(r#"{"wildcard":"*\\**"}"#, &[r#""*""#, r#""a*b""#], &[r#""ab""#]);
}

#[test]
fn numeric() {
    all(r#"{"numeric":["<",10]}"#, &["9.99", "-1e9", "0"], &["10", "10.0", "11", r#""9""#]);
    all(r#"{"numeric":["<=",10]}"#, &["10", "1e1", "9"], &["10.000001", "null", "true"]);
    all(r#"{"numeric":[">",10]}"#, &["10.5", "1e300"], &["10", "9"]);
    all(r#"{"numeric":[">=",10]}"#, &["10", "11"], &["9.9999", "{}", "[]"]);
    all(r#"{"numeric":["=",3.018e2]}"#, &["301.8"], &["301.80001", r#""301.8""#]);
    all(r#"{"numeric":[">",0,"<=",5]}"#, &["0.0001", "5", "5.0"], &["0", "-0", "5.01"]);
    all(r#"{"numeric":[">=",-5,"<",5.5]}"#, &["-5", "5"], &["5.5", "-5.1"]);
    all(
        r#"{"numeric":[">",9007199254740992]}"#,
        &["9007199254740993", "1e17"],
        &["9007199254740992", "9007199254740991"],
    );
    all(r#"{"numeric":["<",1e300]}"#, &["18446744073709551615", "1e299"], &["1e300", "1.1e300"]);
    all(r#"{"numeric":[">",-1e300]}"#, &["-9223372036854775808"], &["-1e301"]);
}

#[test]
fn cidr_of_version_4() {
    let block = r#"{"cidr":"10.0.0.0/24"}"#;
    all(block, &[r#""10.0.0.0""#, r#""10.0.0.255""#], &[r#""10.0.1.0""#, r#""9.255.255.255""#]);
    all(block, &[], &[r#""10.0.0""#, r#""10.0.0.1/32""#, r#""010.0.0.1""#, r#""x""#, "10", "null"]);
    all(block, &[], &[r#""::ffff:10.0.0.1""#, r#""::a00:1""#]);
    all(r#"{"cidr":"10.0.0.77/24"}"#, &[r#""10.0.0.1""#], &[r#""10.0.1.1""#]);
    all(r#"{"cidr":"0.0.0.0/0"}"#, &[r#""255.255.255.255""#], &[r#""::1""#]);
    all(r#"{"cidr":"1.2.3.4/32"}"#, &[r#""1.2.3.4""#], &[r#""1.2.3.5""#]);
}

#[test]
fn cidr_of_version_6() {
    let block = r#"{"cidr":"2001:db8::/32"}"#;
    all(block, &[r#""2001:db8::1""#, r#""2001:DB8:ffff::""#], &[r#""2001:db9::""#, r#""1.2.3.4""#]);
    all(r#"{"cidr":"::/0"}"#, &[r#""::1""#, r#""ffff::""#], &[r#""1.2.3.4""#]);
    all(r#"{"cidr":"::1/128"}"#, &[r#""0:0:0:0:0:0:0:1""#], &[r#""::2""#]);
}

#[test]
fn anything_but_values() {
    all(r#"{"anything-but":"a"}"#, &[r#""b""#, r#""A""#, "5", "null", "true"], &[r#""a""#]);
    all(r#"{"anything-but":["a","b"]}"#, &[r#""c""#, "5"], &[r#""a""#, r#""b""#]);
    all(r#"{"anything-but":5}"#, &["6", r#""5""#, "null"], &["5", "5.0", "50e-1"]);
    all(r#"{"anything-but":[100,200]}"#, &["300", r#""100""#], &["100", "2e2"]);
    all(r#"{"anything-but":"a"}"#, &[], &["[]", "{}", r#"{"b":1}"#]);
    check(r#"{"x":[{"anything-but":"a"}]}"#, "{}", false);
}

#[test]
fn anything_but_strings_of_a_form() {
    all(
        r#"{"anything-but":{"prefix":"in"}}"#,
        &[r#""out""#, r#""""#, "5"],
        &[r#""in""#, r#""init""#],
    );
    all(r#"{"anything-but":{"prefix":["a","b"]}}"#, &[r#""c""#, "null"], &[r#""ax""#, r#""bx""#]);
    all(r#"{"anything-but":{"suffix":".png"}}"#, &[r#""a.PNG""#], &[r#""a.png""#]);
    all(r#"{"anything-but":{"suffix":["1","2"]}}"#, &[r#""a3""#], &[r#""a1""#, r#""2""#]);
    all(r#"{"anything-but":{"equals-ignore-case":"ab"}}"#, &[r#""abc""#], &[r#""AB""#, r#""ab""#]);
    all(r#"{"anything-but":{"equals-ignore-case":["x","y"]}}"#, &[r#""z""#], &[r#""X""#, r#""Y""#]);
    all(r#"{"anything-but":{"wildcard":"*/lib/*"}}"#, &[r#""/bin/a""#], &[r#""/usr/lib/a""#]);
    all(r#"{"anything-but":{"wildcard":["a*","*b"]}}"#, &[r#""c""#], &[r#""ax""#, r#""xb""#]);
    all(r#"{"anything-but":{"prefix":"a"}}"#, &[], &["[]", "{}"]);
}

#[test]
fn exists_is_about_values() {
    let present = r#"{"exists":true}"#;
    all(present, &["5", r#""""#, "null", "false", "[1]", "[[null]]", "[{},1]"], &[]);
    all(present, &[], &["[]", "{}", r#"{"a":1}"#, "[{}]", "[[],[]]"]);
    let absent = r#"{"exists":false}"#;
    all(absent, &["[]", "{}", r#"{"a":1}"#, "[[]]"], &["5", "null", r#""""#, "[1]", "[{},1]"]);
    check(r#"{"x":[{"exists":true}]}"#, "{}", false);
    check(r#"{"x":[{"exists":false}]}"#, "{}", true);
    check(r#"{"x":{"y":[{"exists":false}]}}"#, r#"{"x":5}"#, true);
    check(r#"{"x":{"y":[{"exists":false}]}}"#, "{}", true);
    check(r#"{"x":{"y":[{"exists":false}]}}"#, r#"{"x":{"y":null}}"#, false);
    check(r#"{"x":[{"exists":false},"a"]}"#, "{}", true);
    check(r#"{"x":[{"exists":false},"a"]}"#, r#"{"x":"a"}"#, true);
    check(r#"{"x":[{"exists":false},"a"]}"#, r#"{"x":"b"}"#, false);
    check(r#"{"x":[{"exists":false},{"exists":true}]}"#, r#"{"x":"b"}"#, true);
}
