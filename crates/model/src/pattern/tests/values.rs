//! Exact values.

use super::{all, check, one};

#[test]
fn strings_are_compared_code_point_by_code_point() {
    all(r#""a""#, &[r#""a""#, r#""\u0061""#], &[r#""A""#, r#""ab""#, r#""""#, r#"" a""#]);
    all(r#""""#, &[r#""""#], &["null", r#"" ""#, "[]"]);
    all(r#""é""#, &[r#""é""#, r#""\u00e9""#], &[r#""e\u0301""#, r#""e""#]);
    one(r#""😀""#, r#""\ud83d\ude00""#, true);
    one(r#""a\"b\\c\n""#, r#""a\"b\\c\n""#, true);
    one(r#""\u0000""#, r#""\u0000""#, true);
}

#[test]
fn a_value_matches_only_its_own_kind() {
    all("true", &["true"], &["false", r#""true""#, "1", "null"]);
    all("false", &["false"], &["true", r#""false""#, "0", "null"]);
    all("null", &["null"], &[r#""null""#, "0", "false", r#""""#, "{}", "[]"]);
    all("5", &["5"], &[r#""5""#, "true", "6"]);
    all(r#""5""#, &[r#""5""#], &["5", "5.0"]);
}

#[test]
fn a_number_is_the_same_in_every_spelling() {
    for a in ["300", "300.0", "3.0e2", "3e+2", "3E2", "0.3e3", "300.000"] {
        for b in ["300", "300.0", "3.0e2", "30e1"] {
            one(a, b, true);
            one(a, "301", false);
        }
    }
    all("0", &["0", "-0", "0.0", "-0.0", "0e9"], &["1", "1e-300"]);
    all("-1.5", &["-1.5", "-15e-1"], &["1.5", "-1", "-2"]);
    all("0.1", &["0.1", "1e-1"], &["0.10000000000000002", "0"]);
}

#[test]
fn large_integers_are_compared_exactly() {
    all(
        "9007199254740993",
        &["9007199254740993"],
        &["9007199254740992", "9007199254740994", "9007199254740992.0"],
    );
    all("9007199254740992.0", &["9007199254740992"], &["9007199254740993"]);
    one("18446744073709551615", "18446744073709551615", true);
    one("18446744073709551615", "18446744073709551614", false);
    one("-9223372036854775808", "-9223372036854775808", true);
    one("18446744073709551615", "-1", false);
    one("1e300", "1e300", true);
    one("1e300", "1e301", false);
    one("1e20", "100000000000000000000", true);
}

#[test]
fn any_alternative_is_enough() {
    all(r#""a", 5, null, {"prefix": "z"}"#, &[r#""a""#, "5.0", "null", r#""zoo""#], &[r#""b""#]);
}

#[test]
fn long_lists_are_searched_whole() {
    let list: Vec<String> = (0..1_000).map(|n| format!("\"v{n}\"")).collect();
    let list = list.join(",");
    all(&list, &[r#""v0""#, r#""v999""#, r#""v500""#], &[r#""v1000""#, r#""v""#, r#""w""#]);
}

#[test]
fn every_field_has_to_hold() {
    let pattern = r#"{"type":["t"],"source":["s"],"data":{"a":[1],"b":{"c":[2]}}}"#;
    check(pattern, r#"{"type":"t","source":"s","data":{"a":1,"b":{"c":2,"d":3},"e":4}}"#, true);
    check(pattern, r#"{"type":"u","source":"s","data":{"a":1,"b":{"c":2}}}"#, false);
    check(pattern, r#"{"type":"t","source":"s","data":{"a":1,"b":{"c":3}}}"#, false);
    check(pattern, r#"{"type":"t","source":"s","data":{"a":1}}"#, false);
    check(pattern, r#"{"type":"t","source":"s","data":5}"#, false);
    check(pattern, r#"{"type":"t","source":"s","data":null}"#, false);
    check(pattern, r#"{"type":"t","source":"s"}"#, false);
    check(pattern, "{}", false);
}
